/**
 * Executes a command in a new terminal, and writes the terminal's screens as an animated SVG: the recording in the
 * README. Needs `script` of util-linux.
 *     node scripts/docs/record-terminal.mjs --out assets/start.svg [--columns 92] [--rows 30] [--seconds 16] -- COMMAND
 * The recording takes --seconds, even if the command took longer or shorter. With `prefers-reduced-motion`, and in
 * viewers without animation, the recording shows only the last screen.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import xterm from "@xterm/headless";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string" },
    columns: { type: "string", default: "92" },
    rows: { type: "string", default: "30" },
    seconds: { type: "string", default: "16" },
    shown: { type: "string" },
  },
});
const command = positionals.join(" ");
if (values.out === undefined || command === "") {
  console.error("record-terminal: --out FILE and a command after -- must be given");
  process.exit(2);
}
const [columns, rows, seconds] = [values.columns, values.rows, values.seconds].map(Number);
/** Time for which the last screen is shown. */
const rest = 4;
const framesPerSecond = 6;

/** The command's output in pieces, each with its arrival time in seconds. */
const record = () => {
  const folder = mkdtempSync(join(tmpdir(), "foretoken-record-"));
  try {
    const [output, timing] = [join(folder, "output"), join(folder, "timing")];
    const { status, error } = spawnSync(
      "script",
      [
        "-q",
        "-e",
        "-f",
        "-m",
        "classic",
        "-O",
        output,
        "-T",
        timing,
        "-c",
        `stty cols ${columns} rows ${rows}; ${command}`,
      ],
      { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, TERM: "xterm-256color", LANG: "C.UTF-8" } },
    );
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`${command} ended with status ${status}`);
    const bytes = readFileSync(output);
    // The program `script` prints its own line before the output.
    let at = bytes.indexOf("\n") + 1;
    let time = 0;
    return readFileSync(timing, "utf8")
      .trim()
      .split("\n")
      .map((line) => {
        const [delay, length] = line.split(" ").map(Number);
        time += delay;
        const piece = bytes.subarray(at, at + length);
        at += length;
        return { time, piece };
      });
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const palette = ["#484f58", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#c9d1d9"];
const bright = ["#8b949e", "#ffa198", "#7ee787", "#f2cc60", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#ffffff"];
const levels = [0, 95, 135, 175, 215, 255];

/** An 8-bit colour of xterm. */
const color = (n) => {
  if (n < 8) return palette[n];
  if (n < 16) return bright[n - 8];
  if (n >= 232) return `rgb(${[0, 0, 0].map(() => 8 + 10 * (n - 232)).join(",")})`;
  return `rgb(${[36, 6, 1].map((unit) => levels[Math.floor((n - 16) / unit) % 6]).join(",")})`;
};

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escaped = (text) => text.replace(/[&<>]/gu, (sign) => escapes[sign]);

const attributes = (cell) => {
  const fill = cell.isFgRGB()
    ? `#${cell.getFgColor().toString(16).padStart(6, "0")}`
    : cell.isFgPalette()
      ? color(cell.getFgColor())
      : undefined;
  return [
    ...(fill === undefined ? [] : [`fill="${fill}"`]),
    ...(cell.isBold() ? ['font-weight="bold"'] : []),
    ...(cell.isDim() ? ['opacity="0.6"'] : []),
    ...(cell.isItalic() ? ['font-style="italic"'] : []),
    ...(cell.isUnderline() ? ['text-decoration="underline"'] : []),
  ].join(" ");
};

const size = { cell: 8.4, line: 18, margin: 16, bar: 30 };

/**
 * A row of the screen as SVG. Neighbouring cells with the same style are one element, at the first column of these
 * cells.
 */
const drawRow = (line) => {
  const runs = [];
  for (let x = 0; x < columns; x++) {
    const cell = line.getCell(x);
    if (cell === undefined || cell.getWidth() === 0) continue;
    const chars = cell.getChars() || " ";
    const style = attributes(cell);
    const last = runs.at(-1);
    if (last !== undefined && last.style === style && cell.getWidth() === 1) {
      last.text += chars;
      last.end = x + 1;
    } else runs.push({ x, end: x + cell.getWidth(), style, text: chars });
  }
  return runs
    .filter(({ text }) => text.trim() !== "")
    .map(({ x, end, style, text }) => {
      const begin = x + text.length - text.trimStart().length;
      const width = end - (text.length - text.trimEnd().length) - begin;
      return `<tspan x="${(begin * size.cell).toFixed(1)}" textLength="${(width * size.cell).toFixed(1)}"${style && ` ${style}`}>${escaped(text.trim())}</tspan>`;
    })
    .join("");
};

/** Screens that differ from the previous one, each with its time in the recording. */
const screens = async (pieces) => {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 });
  const write = (piece) => new Promise((resolve) => terminal.write(piece, () => resolve(undefined)));
  const whole = pieces.at(-1)?.time ?? 0;
  const kept = [];
  let next = 0;
  for (let frame = 0; frame <= seconds * framesPerSecond; frame++) {
    const until = (frame / (seconds * framesPerSecond)) * whole;
    for (; next < pieces.length && pieces[next].time <= until; next++) await write(pieces[next].piece);
    const { active } = terminal.buffer;
    const drawn = Array.from({ length: rows }, (_, y) => drawRow(active.getLine(active.baseY + y)));
    if (kept.length > 0 && kept.at(-1).drawn.every((row, y) => row === drawn[y])) continue;
    kept.push({ at: frame / framesPerSecond, drawn });
  }
  return kept;
};

const draw = (frames) => {
  const total = seconds + rest;
  const width = columns * size.cell + 2 * size.margin;
  const height = rows * size.line + 2 * size.margin + size.bar;
  const rowIds = new Map();
  const idOf = (row) => {
    if (!rowIds.has(row)) rowIds.set(row, `r${rowIds.size}`);
    return rowIds.get(row);
  };
  const percent = (time) => `${((100 * time) / total).toFixed(2)}%`;
  const groups = frames.map(({ drawn }, i) => {
    const uses = drawn.flatMap((row, y) =>
      row === "" ? [] : [`<use href="#${idOf(row)}" y="${(y + 1) * size.line}"/>`],
    );
    return `<g id="f${i}">${uses.join("")}</g>`;
  });
  const rules = frames.map(({ at }, i) => {
    const end = frames[i + 1]?.at;
    if (frames.length === 1) return "";
    const hidden = at === 0 ? "" : "0%{visibility:hidden}";
    const gone = end === undefined ? "" : `${percent(end)}{visibility:hidden}`;
    return `@keyframes k${i}{${hidden}${percent(at)}{visibility:visible}${gone}${end === undefined ? "100%{visibility:visible}" : ""}}#f${i}{animation:k${i} ${total}s step-end infinite}`;
  });
  const title = values.shown ?? command;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width.toFixed(0)} ${height}" width="${width.toFixed(0)}" height="${height}" role="img" aria-label="Recording of a terminal: ${escaped(title)}">
<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#c9d1d9;white-space:pre}g[id]{visibility:hidden}#f${frames.length - 1}{visibility:visible}
@media (prefers-reduced-motion:no-preference){${rules.join("")}}</style>
<defs>${[...rowIds].map(([row, id]) => `<text id="${id}">${row}</text>`).join("")}</defs>
<rect width="100%" height="100%" rx="10" fill="#0d1117" stroke="#30363d"/>
<g fill="#30363d"><circle cx="20" cy="18" r="6"/><circle cx="40" cy="18" r="6"/><circle cx="60" cy="18" r="6"/></g>
<text x="${(width / 2).toFixed(0)}" y="23" text-anchor="middle" opacity="0.6">${escaped(title)}</text>
<g transform="translate(${size.margin} ${size.bar + size.margin - 6})">${groups.join("")}</g>
</svg>
`;
};

const frames = await screens(record());
mkdirSync(dirname(values.out), { recursive: true });
const svg = draw(frames);
writeFileSync(values.out, svg);
console.log(`${values.out}: ${frames.length} screens, ${(svg.length / 1000).toFixed(0)} kB`);
