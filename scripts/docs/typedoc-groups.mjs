// A typedoc plugin, which typedoc.json names. The library's reference begins with the functions that a user calls
// first. These functions are in the order of use, not in alphabetical order.
import { Comment, CommentTag, ContainerReflection, Converter, ReflectionKind } from "typedoc";

/** Groups of functions and variables, in order. test/package/docs.slow.test.ts checks that every name is in a group. */
export const groups = {
  "Training, generation, evaluation": [
    ...[
      "train",
      "generate",
      "generateMany",
      "openEngine",
      "beamSearch",
      "compileConstraint",
      "chat",
      "chatWithTools",
      "evaluate",
      "evaluateChoices",
    ],
    ...["compareEvaluations", "compareRuns", "sweep", "compareModels", "presets", "defaultPreset"],
  ],
  "Models from checkpoints": [
    ...["loadPretrained", "loadInWorker", "savePretrained", "saveAdapter", "saveMerged", "saveGguf", "saveOnnx"],
    ...["exportModel", "languageModel"],
  ],
  "Looking inside a model": ["attentionOf", "lensOf", "withoutHeads", "neighboursOf", "patched"],
  "Runs that can be resumed in a page or in Node": [
    ...["openRunStore", "openFileStore", "runToFolder", "runFromFolder", "zipFolder"],
  ],
  Backends: ["openBackend", "describeBackends"],
  "Texts and runs": ["loadCorpus", "splitText", "listRuns", "plotRuns"],
  Tokenizers: [
    ...["trainBpeTokenizer", "bpeTrainer", "trainCharTokenizer", "loadTokenizer", "bpeTokenizer"],
    ...["encodeWithSpecials", "textStream"],
  ],
  "A training loop of your own": [
    ...["freshModel", "loraModel", "mergeAdapter", "trainingBatch", "evaluationWindows", "createGradients"],
    ...["forward", "crossEntropyLoss"],
    ...[
      "forwardLoss",
      "backward",
      "clipFactor",
      "learningRateAt",
      "createOptimizer",
      "inferenceContext",
      "withContext",
    ],
    ...["readScalar", "readTensor", "dropoutSource", "randomKey", "randomStream"],
  ],
};

const kinds = ["Functions", "Variables", "Type Aliases", "Interfaces", "Classes", "References"];
const order = [...Object.keys(groups), ...kinds];
const places = new Map(
  Object.entries(groups).flatMap(([title, names]) => names.map((name, place) => [name, { title, place }])),
);

const addTag = (holder, title) => {
  holder.comment ??= new Comment();
  holder.comment.blockTags.push(new CommentTag("@group", [{ kind: "text", text: title }]));
};

/** @param {import("typedoc").Application} app */
export const load = (app) => {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const reflection of project.getReflectionsByKind(ReflectionKind.Function | ReflectionKind.Variable)) {
      const place = places.get(reflection.name);
      if (place !== undefined && reflection.isDeclaration() && reflection.parent?.kindOf(ReflectionKind.SomeModule)) {
        addTag(reflection.signatures?.[0] ?? reflection, place.title);
      }
    }
  });
  app.converter.on(
    Converter.EVENT_RESOLVE_END,
    ({ project }) => {
      for (const module of project.getReflectionsByKind(ReflectionKind.SomeModule)) {
        if (!(module instanceof ContainerReflection)) continue;
        module.groups?.sort((a, b) => order.indexOf(a.title) - order.indexOf(b.title));
        for (const { title, children } of module.groups ?? []) {
          if (groups[title] === undefined) continue;
          children.sort((a, b) => places.get(a.name).place - places.get(b.name).place);
        }
      }
    },
    // This comes after typedoc's own sort of the names.
    -1000,
  );
};
