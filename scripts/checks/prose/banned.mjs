// Phrases that readers had to read twice, and plainer phrases instead. A phrase is listed only if a plainer phrase
// exists for nearly every sentence. The search also covers code, names and text in backticks. So the patterns must not
// match code or names.
const rule = (turn, instead) => ({ turn, instead });

export const banned = [
  rule(/\b(?:that|which|who|it) (?:is|are) none\b/gi, 'say what it is not: "is not a run"'),
  rule(
    /\b(?:that|which|who|it) (?:is|are) no (?!longer|more|worse|better|larger|smaller|slower|faster|\w+er\b)/gi,
    'say "is not a …"',
  ),
  rule(/\bunless (?:given|set|named|told)\b/gi, 'say "default: …"'),
  rule(/\bin any case\b/gi, 'say "anyway" or "always", or leave it out'),
  rule(/\bnobody's\b/gi, "say who owns it, or that nobody awaits it"),
  rule(/\bwhatever (?:the|its|their)\b/gi, 'say "for any …" or "does not depend on …"'),
  rule(/\b(?:those|that) of\b/gi, "repeat the noun"),
  rule(/\bof which\b/gi, "begin a new sentence"),
  rule(/\bof (?:so|as) (?:few|many)\b/gi, "name the number's subject first"),
  rule(/\b(?:or|of) as many\b/gi, "name the number"),
  rule(/\bwhat (?:is|are) (?:no|none)\b/gi, "name the thing first"),
  rule(/\bwhat (?:takes?|stands?|lies) /gi, "name the thing first"),
  rule(/^(?:Of|Whose) /gm, "begin with the subject"),
  rule(
    /\b(?:is|are|was|were|be) told (?:in|by|here|apart|from)\b/gi,
    'say "described in", "distinguished from", "known from"',
  ),
  rule(/\bserves?(?=[.;](?:\s|$))/gi, 'say "uses" or "works"; "serve" takes an object'),
  rule(/\b(?:go|goes|going|gone|went) on\b(?! to\b)/gi, 'say "continue", "resume" or "keep …ing"'),
  rule(
    /\b(?:lest|ere|hitherto|nought|whence|thence|thereof|therein|whereof|wherein|withal)\b/gi,
    "use a word of today",
  ),
  rule(/\bfor want of\b/gi, 'say "without" or "because there is no"'),
  rule(/\bso (?:does|do|is|are|has|have) (?:the|a|an|its|all|each|every)\b/gi, 'say it in full, with "too" or "also"'),
];
