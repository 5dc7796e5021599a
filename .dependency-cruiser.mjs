import { shared } from "./scripts/build/studio.mjs";

// The layers of the code (docs/architecture.md): a folder of src may import from itself and from earlier folders.
export const floors = [
  "core",
  "backend",
  "autograd",
  "ops",
  "nn",
  "models",
  "tokenizer",
  "data",
  "optim",
  "io",
  "pretrained",
  "engine",
  "generate",
  "chat",
  "config",
  "evaluate",
  "trainer",
  "runs",
  "train",
  "inside",
  "plot",
  "worker",
  "sweep",
  "lesson",
  "doctor",
  "serve",
  "cli",
];

/** Files that may import Node's own modules. src/index.ts is the entry for Node and exports modules that need it. */
const nodeFiles = "^src/(cli|serve|backend/implementations/native)/|(^|/)node\\.ts$|\\.node\\.ts$|^src/index\\.ts$";

const upwards = floors.slice(0, -1).map((floor, i) => ({
  name: `floor-${floor}`,
  comment: `src/${floor} imports only itself and ${i === 0 ? "nothing else of src" : `what lies below: ${floors.slice(0, i).join(", ")}`}`,
  severity: "error",
  from: { path: `^src/${floor}/` },
  to: { path: `^src/(${floors.slice(i + 1).join("|")})/` },
}));

export default {
  forbidden: [
    ...upwards,
    {
      name: "readers-of-runs-do-not-train",
      comment: "The studio, plots, lessons and commands that list or read runs take a run from src/runs.",
      severity: "error",
      from: {
        path: "^src/(serve|plot|lesson)/|^src/cli/commands/",
        pathNot: "^src/cli/commands/(train|replay|info)\\.ts$",
      },
      to: { path: "^src/train/" },
    },
    {
      name: "page-bundles-shared-files-alone",
      comment: "The studio's page takes types from src, and code of the files that scripts/build/studio.mjs names.",
      severity: "error",
      from: { path: "^web/" },
      to: { path: "^src/", pathNot: `^(${shared.join("|")})$`, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "shared-files-import-nothing",
      comment: "The studio's page bundles this file with all that it imports.",
      severity: "error",
      from: { path: `^(${shared.join("|")})$` },
      to: { dependencyTypesNot: ["type-only"] },
    },
    {
      name: "every-folder-is-a-floor",
      comment: "A new folder of src needs its place among the floors in .dependency-cruiser.mjs.",
      severity: "error",
      from: {},
      to: { path: "^src/[^/]+/", pathNot: `^src/(${floors.join("|")})/` },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-barrels",
      comment: "Inside the package, import the file that has the thing, not the one that hands it on.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(index|browser)\\.ts$" },
      to: { path: "(^|/)index\\.ts$|^src/(browser|everywhere)\\.ts$" },
    },
    {
      name: "node-modules-only-in-node-files",
      comment: "The rest runs in a browser unchanged: put what needs Node in a file named node.ts or *.node.ts.",
      severity: "error",
      from: { path: "^src/", pathNot: nodeFiles },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "node-files-only-from-node-files",
      comment:
        "What imports a file for Node needs Node itself: name it *.node.ts, or take what it gives as an argument.",
      severity: "error",
      from: { path: "^src/", pathNot: nodeFiles },
      to: { path: "(^|/)node\\.ts$|\\.node\\.ts$|^src/(cli|serve|backend/implementations/native)/" },
    },
    {
      name: "only-declared-packages",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "npm-optional", "unknown", "undetermined"] },
    },
    {
      name: "everything-resolves",
      severity: "error",
      from: { path: "^src/" },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "node", "default"] },
  },
};
