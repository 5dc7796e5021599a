/** The Markdown pages for people, by path: in the top folder, docs/, examples/ and templates/. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

const markdownIn = async (folder: string, recursive: boolean): Promise<readonly string[]> =>
  (await readdir(join(root, folder), { recursive }))
    .map((name) => join(folder, name).replaceAll("\\", "/"))
    // docs/api/ is left out, because it is generated.
    .filter((path) => path.endsWith(".md") && !/^docs\/api\/|(?:^|\/)node_modules\//u.test(path))
    .sort();

export const pages: readonly string[] = [
  ...(await markdownIn(".", false)),
  ...(await markdownIn("docs", true)),
  ...(await markdownIn("examples", true)),
  ...(await markdownIn("templates", true)),
];

export const readPage = (page: string): Promise<string> => readFile(join(root, page), "utf8");

/** A page without its code blocks. */
export const proseOf = (text: string): string => text.replace(/^```[\s\S]*?^```/gmu, "");

/** The anchor that GitHub makes for a heading. */
const slugOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/gu, "$1")
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number}\p{Mark}_ -]/gu, "")
    .replaceAll(" ", "-");

/** Anchors of all headings of a page. If two headings are equal, the second anchor ends in -1, and so on. */
export const anchorsOf = (text: string): ReadonlySet<string> => {
  const anchors = new Set<string>();
  for (const [, heading = ""] of proseOf(text).matchAll(/^#{1,6} (.*)$/gmu)) {
    const slug = slugOf(heading.trim());
    let anchor = slug;
    for (let number = 1; anchors.has(anchor); number++) anchor = `${slug}-${number}`;
    anchors.add(anchor);
  }
  return anchors;
};

export interface PageLink {
  /** Path of the linked file, relative to the page's folder. The path is "" for the page itself. */
  readonly file: string;
  /** Anchor of the linked heading. Undefined for a link to the whole file. */
  readonly anchor: string | undefined;
}

/** Links of a page to files, in Markdown and in HTML. Links with a scheme and links in code are left out. */
export const linksOf = (text: string): readonly PageLink[] =>
  [
    ...proseOf(text)
      .replaceAll(/`[^`\n]*`/gu, "")
      .matchAll(/\]\(([^)\s]+)[^)]*\)|\b(?:src|srcset|href)="([^"]+)"/gu),
  ]
    .map(([, markdown, html]) => (markdown ?? html) as string)
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/u.test(link))
    .map((link) => {
      const [file = "", anchor] = link.split("#");
      return { file, anchor };
    });
