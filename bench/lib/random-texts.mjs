// Texts for comparisons of tokenizers: scripts, emoji, white space, control characters, code, and parts of a corpus.

const parts =
  "the quick brown fox jumps over  lazy dogs|It's|DON'T|we'Ll|naïve café|STRASSE|Ελληνικά γράμματα|Русский текст|עברית|مرحبا بالعالم" +
  "|नमस्ते दुनिया|বাংলা|ภาษาไทย|日本語の文章|中文字符|한국어 문장|ქართული|አማርኛ|😀|👨‍👩‍👧‍👦|🇩🇪🇫🇷|👍🏽|e\u0301|n\u0303o|Z\u0351\u036b\u0343|ﬁ|ß|İ|Ⅷ|½|x²|१२३|٤٥٦" +
  "|1|12|123|1234567|3.14|1,000|0x1F|𝟘𝟙| |  |   |          |\t|\t\t|\n|\n\n|\n\n\n\n|\r\n|\r|\u00a0|\u2003|\u3000|\u2028|\u0085|\u000b|\u200b|\ufeff|\u001c" +
  "|!|...|?!|--|—|“quoted”|$5|100%|a_b|__proto__|aaaaaaa|-----------|=====|......|ooooo|hahahahaha|0000000|</s><s>|<|>|▁|▁▁|_▁" +
  "|#include <stdio.h>|for (let i = 0; i < n; i++) {\n    x += y[i];\n}|\tif a:\n\t\tpass\n|<table><tr><td>1</td></tr></table>" +
  "|https://example.org/a?b=c&d|user@example.org|\u0000|\u0001|\u007f|\u{10ffff}|\ue000|<0x41>|<eos>|<pad>|<unused1>|[multimodal]|<h1>|</h1>";

/** Random numbers from a seed: xorshift, 32 bits. */
const numbers = (seed) => {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
};

/** A code point that is not a surrogate, mostly from a common block. */
const point = (random) => {
  const limits = [0x80, 0x250, 0x800, 0x3000, 0xd800, 0x20000, 0x110000];
  const code = random(limits[random(limits.length)]);
  return code >= 0xd800 && code <= 0xdfff ? 0xfffd : code;
};

/** @param corpus a text from which parts are taken; "" for none. */
export const randomTexts = (count, seed, corpus = "") => {
  const random = numbers(seed);
  const list = parts.split("|");
  const piece = () => {
    const kind = random(8);
    if (kind === 0) return String.fromCodePoint(...Array.from({ length: 1 + random(12) }, () => point(random)));
    if (kind === 1) return " ".repeat(random(40));
    if (kind === 2) return "\n".repeat(random(40));
    if (kind === 3 && corpus !== "") {
      const from = random(corpus.length);
      return corpus.slice(from, from + random(200)).replaceAll(/\p{Surrogate}/gu, "");
    }
    if (kind === 4) return list[random(list.length)].repeat(1 + random(9));
    return list[random(list.length)];
  };
  return Array.from({ length: count }, () => Array.from({ length: 1 + random(12) }, piece).join(""));
};
