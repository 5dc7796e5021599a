import { describe, expect, test } from "vitest";
import {
  hasColor,
  hasUnicode,
  reflowIn,
  type Surroundings,
  styleIn,
  symbolsFor,
} from "#foretoken/cli/process/terminal.js";

type Variables = Surroundings["env"];

const terminal = (env: Variables, platform = "linux"): Surroundings => ({ env, platform, isTerminal: true });
const pipe = (env: Variables, platform = "linux"): Surroundings => ({ env, platform, isTerminal: false });

describe("colours", () => {
  test.each<[string, Surroundings, boolean]>([
    ["a terminal has them", terminal({ TERM: "xterm-256color" }), true],
    ["a terminal without a name has them", terminal({}), true],
    ["the Linux console has them", terminal({ TERM: "linux" }), true],
    ["a dumb terminal has none", terminal({ TERM: "dumb" }), false],
    ["a pipe has none", pipe({ TERM: "xterm-256color", CI: "true" }), false],
    ["NO_COLOR refuses them", terminal({ TERM: "xterm", NO_COLOR: "1" }), false],
    ["NO_COLOR refuses them whatever it says", terminal({ NO_COLOR: "0" }), false],
    ["an empty NO_COLOR says nothing", terminal({ NO_COLOR: "" }), true],
    ["NO_COLOR comes before FORCE_COLOR", terminal({ NO_COLOR: "1", FORCE_COLOR: "1" }), false],
    ["FORCE_COLOR asks for them in a pipe", pipe({ FORCE_COLOR: "1" }), true],
    ["an empty FORCE_COLOR asks for them", pipe({ FORCE_COLOR: "" }), true],
    ["FORCE_COLOR=3 asks for them on a dumb terminal", terminal({ FORCE_COLOR: "3", TERM: "dumb" }), true],
    ["FORCE_COLOR=0 refuses them", terminal({ FORCE_COLOR: "0" }), false],
    ["FORCE_COLOR=false refuses them", terminal({ FORCE_COLOR: "false" }), false],
  ])("%s", (_, surroundings, expected) => {
    expect(hasColor(surroundings)).toBe(expected);
    expect(styleIn(surroundings).colors.red("x")).toBe(expected ? "\u001b[31mx\u001b[39m" : "x");
  });
});

describe("signs outside of ASCII", () => {
  test.each<[string, Surroundings, boolean]>([
    ["LANG with UTF-8", terminal({ LANG: "de_DE.UTF-8" }), true],
    ["LC_ALL goes before LANG", terminal({ LC_ALL: "C", LANG: "de_DE.UTF-8" }), false],
    ["LC_CTYPE goes before LANG", terminal({ LC_CTYPE: "POSIX", LANG: "de_DE.UTF-8" }), false],
    ["an empty variable says nothing", terminal({ LC_ALL: "", LC_CTYPE: "C.utf8" }), true],
    ["LANG=C", terminal({ LANG: "C", TERM: "xterm" }), false],
    ["another encoding", terminal({ LANG: "de_DE.ISO-8859-15" }), false],
    ["no locale", terminal({}), false],
    ["no locale on macOS", terminal({}, "darwin"), true],
    ["the Windows Terminal", terminal({ WT_SESSION: "1" }, "win32"), true],
    ["a terminal inside an editor on Windows", terminal({ TERM_PROGRAM: "vscode" }, "win32"), true],
    ["the old console of Windows", terminal({}, "win32"), false],
    ["a dumb terminal", terminal({ LANG: "C.UTF-8", TERM: "dumb" }), false],
    ["the Linux console", terminal({ LANG: "C.UTF-8", TERM: "linux" }), false],
    ["a pipe with UTF-8, whatever TERM says", pipe({ LANG: "C.UTF-8", TERM: "dumb" }), true],
    ["a pipe without", pipe({ LANG: "C", TERM: "xterm" }), false],
  ])("%s", (_, surroundings, expected) => {
    expect(hasUnicode(surroundings)).toBe(expected);
    expect(styleIn(surroundings).symbols).toBe(symbolsFor(expected));
  });

  test("each has a stand-in in ASCII", () => {
    const { unicode, ...signs } = symbolsFor(false);
    expect(unicode).toBe(false);
    expect(Object.keys(symbolsFor(true))).toEqual(Object.keys(symbolsFor(false)));
    for (const sign of Object.values(signs)) expect(sign).toMatch(/^[ -~]+$/u);
  });
});

test.each<[string, Variables, readonly [lines: boolean, cursorLine: boolean]]>([
  ["most terminals", { TERM: "xterm-256color" }, [true, true]],
  ["xterm", { XTERM_VERSION: "XTerm(390)" }, [false, false]],
  ["GNU screen", { STY: "1.pts-0" }, [false, false]],
  ["tmux in xterm", { XTERM_VERSION: "XTerm(390)", TMUX: "/tmp/tmux-0/default,1,0" }, [true, true]],
  ["the terminal of VS Code", { TERM_PROGRAM: "vscode" }, [true, false]],
])("what becomes of lines in %s that becomes narrower", (_, env, [lines, cursorLine]) => {
  expect(reflowIn(env)).toEqual({ lines, cursorLine });
});
