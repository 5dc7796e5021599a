/**
 * Maps flags of other programs to flags of foretoken: nanoGPT's train.py and sample.py, llama.cpp's commands, and the
 * arguments of Hugging Face's Trainer and generate. docs/from-nanogpt.md lists them in tables.
 */

import { ownValue } from "./values-of-others.ts";

/** Counterpart of another program's flag. */
export type Lead =
  | {
      /** The corresponding flag of foretoken. This flag gets the same value. */
      readonly flag: string;
      /** Maps the values of other programs, in lower case, to values of foretoken. Other values stay unchanged. */
      readonly values?: Readonly<Record<string, string>>;
      /**
       * Maps values that need another flag of foretoken to the words to write. The keys are in lower case. The list of
       * words is empty if no flag is needed.
       */
      readonly instead?: Readonly<Record<string, string>>;
    }
  /** The words of foretoken for a flag that has no value. */
  | { readonly words: string }
  /** In foretoken, the value is an argument without a flag. */
  | { readonly argument: string }
  /** The reason why foretoken has no such flag. */
  | {
      readonly absent: string;
      readonly hint: string;
      /** Maps some values, in lower case, to a text that replaces `absent`. */
      readonly absentWith?: Readonly<Record<string, string>>;
    };

/** Counterparts of flags. The key is the flag's name in lower case, without dashes and underscores. */
export type Leads = Readonly<Record<string, Lead>>;

const named = (names: string, lead: Lead): Leads => Object.fromEntries(names.split(" ").map((name) => [name, lead]));
const to = (names: string, flag: string, values?: Readonly<Record<string, string>>): Leads =>
  named(names, values === undefined ? { flag } : { flag, values });
const means = (names: string, words: string): Leads => named(names, { words });
const isNot = (names: string, absent: string, hint: string): Leads => named(names, { absent, hint });

const noGpu = "there is no GPU backend (yet): every backend computes on the CPU";

const everywhere: Leads = {
  ...named("device", {
    absent: noGpu,
    hint: "the command without this flag",
    absentWith: { cpu: "every backend computes on the CPU, so there is no device to choose" },
  }),
  ...isNot(
    "cuda usecuda gpu gpus ngl ngpulayers gpulayers maingpu mps usempsdevice",
    noGpu,
    "the command without this flag",
  ),
  ...means("cpu usecpu nocuda", "--backend auto"),
  ...to("t nthreads numthreads threadsbatch nprocs numproc jobs j", "--threads"),
  ...isNot(
    "compile torchcompile",
    "a run compiles nothing; kernels are compiled when the package is built",
    "npx foretoken info",
  ),
  ...means("fp32 float32", "--dtype float32"),
  ...means("bf16 bfloat16", "--dtype bfloat16"),
  ...isNot(
    "fp16 float16 half",
    "there is no float16, because training in float16 needs loss scaling",
    "--dtype bfloat16",
  ),
  ...to("torchdtype precision", "--dtype"),
};

const train: Leads = {
  ...to("lr baselr maxlr peaklr", "--learning-rate"),
  ...to("layers nlayers numlayers numhiddenlayers depth", "--model.nLayer"),
  ...to("heads nheads numheads numattentionheads", "--model.nHead"),
  ...to("kvheads nkvheads numkvheads numkeyvalueheads", "--model.nKvHead"),
  ...to("nembed dmodel hiddensize embdim embeddim modeldim dim width", "--model.nEmbd"),
  ...to("intermediatesize dff ffndim", "--model.mlp.hidden"),
  ...to("slidingwindow windowsize attentionwindow", "--model.window.size"),
  ...to(
    "blocksize seqlen seqlength maxseqlen maxseqlength maxlength maxpositionembeddings npositions",
    "--model.contextLength",
  ),
  ...to("nctx ctx ctxsize contextsize contextwindow context c", "--model.contextLength"),
  ...to("batch bs b trainbatchsize perdevicetrainbatchsize microbatchsize", "--batch-size"),
  ...to("gradientaccumulationsteps gradaccum gradaccumulation accumulationsteps", "--train.gradAccumSteps"),
  ...to("maxiters maxsteps iters iterations numiters niters nsteps numsteps totalsteps trainsteps", "--steps"),
  ...isNot(
    "epochs epoch numepochs nepochs numtrainepochs e",
    "a run is counted in steps; one epoch is training tokens / (batchSize × contextLength) steps",
    "--steps N",
  ),
  ...isNot(
    "evaliters",
    "an evaluation covers the whole validation split, so its number of batches cannot be set",
    "a smaller --val-fraction",
  ),
  ...isNot("evalonly", "a separate command evaluates a model", "npx foretoken evaluate DIR"),
  ...to("evalsteps evalfreq evalevery validationinterval valinterval", "--eval-interval"),
  ...to("savesteps saveinterval saveevery checkpointevery", "--checkpoint-interval"),
  ...to("savetotallimit", "--keep-last"),
  ...isNot(
    "loginterval logginginterval loggingsteps logevery",
    "metrics.jsonl has every step; --json also writes it to standard output",
    "--json",
  ),
  ...isNot(
    "wandb wandblog wandbproject wandbrunname reportto tensorboard loggingdir mlflow",
    "no tracking service is used; metrics.jsonl has every event, and --json prints them",
    "--json",
  ),
  ...to("outdir outputdir output o rundir savedir checkpointdir loggingdirectory", "--out"),
  ...to("dataset datasetname datafile datadir trainfile trainingfile traindata input inputfile", "--data"),
  ...to("text textfile corpus file f", "--data"),
  ...to("validationfile valfile evalfile evaldata validationdata testfile", "--val-data"),
  ...to("valsplit validationsplit valratio testsize", "--val-fraction"),
  ...to("gradclip clip clipgrad gradientclip clipgradnorm maxnorm", "--train.maxGradNorm"),
  ...to("warmup warmupiters nwarmup", "--train.warmupSteps"),
  ...isNot("warmupratio", "the warm-up is given in steps", "--train.warmupSteps N"),
  ...to("minlr", "--train.schedule.minLearningRate"),
  ...to("decaylr", "--train.schedule.kind", { true: "cosine", false: "constant" }),
  ...to("lrschedule lrscheduler lrschedulertype scheduler", "--train.schedule.kind"),
  ...isNot("lrdecayiters", "the learning rate falls until the last step", "--steps N"),
  ...to("optim opt optimizer", "--train.optimizer.kind", { adamw_torch: "adamw", adamw_torch_fused: "adamw" }),
  ...isNot(
    "bias",
    "three flags control biases",
    "--model.bias.qkv, --model.bias.projection or --model.bias.mlp with true or false",
  ),
  ...to("adambeta1", "--train.optimizer.beta1"),
  ...to("adambeta2", "--train.optimizer.beta2"),
  ...to("adamepsilon epsilon", "--train.optimizer.eps"),
  ...to("wd", "--train.optimizer.weightDecay"),
  ...to("randomseed dataseed s", "--seed"),
  ...named("initfrom", {
    flag: "--init-from",
    instead: { resume: "--resume runs/NAME", scratch: "", gpt2: "--init-from hf:openai-community/gpt2" },
  }),
  ...to("resumefromcheckpoint resumefrom continue continuefrom restart", "--resume"),
  ...to("earlystopping earlystoppingpatience", "--patience"),
  ...isNot(
    "loadbestmodelatend alwayssavecheckpoint savestrategy",
    "a run always keeps its last checkpoint, and the best weights in best/",
    "--keep-last N for earlier checkpoints",
  ),
  ...isNot(
    "overwriteoutputdir force",
    "a run's folder must be new or empty, so that no file is lost",
    "--out another-folder",
  ),
  ...means("gradientcheckpointing activationcheckpointing", "--recompute-activations true"),
  ...isNot(
    "deepspeed fsdp ddp localrank nprocpernode worldsize distributed",
    "mpirun starts the processes; each process keeps a part of the optimizer's moments (docs/cluster.md)",
    "mpirun -n 2 node dist/cli/main.js train",
  ),
  ...to("lora lorar lorarank rank r", "--lora.rank"),
  ...to("loraalpha alpha", "--lora.alpha"),
  ...to("loradropout", "--lora.dropout"),
  ...to("loratarget loratargets loratargetmodules targetmodules", "--lora.targets"),
  ...isNot("peft usepeft", "adapters are always written in PEFT's format", "--lora.rank 8"),
  ...isNot(
    "qlora loadin4bit loadin8bit",
    "adapters train on a GGUF file with weights of 4 to 8 bits; foretoken quantize writes such a file",
    "--init-from model-q4_k.gguf --lora.rank 8",
  ),
  ...to("vocabsize nvocab", "--tokenizer.vocabSize"),
  ...isNot("labelsmoothing labelsmoothingfactor", "there is no label smoothing", "--model.dropout 0.1"),
  ...isNot(
    "pushtohub hubmodelid",
    "foretoken uploads nothing; best/ in the run's folder is a Hugging Face directory",
    "the command without this flag",
  ),
  ...isNot("dataloadernumworkers numworkers", "batches are cut from a text in memory, without workers", "--threads N"),
};

const noSuchSampling = "only temperature, top-k, top-p and min-p control the sampling";
const likeSampling = "--temperature, --top-k, --top-p or --min-p";

const modelNamed: Leads = named("m model checkpoint ckpt modelpath modelnameorpath outdir rundir", {
  argument: "the model is an argument without a flag",
});

/** Flags of all commands that take a model. */
const adapterNamed: Leads = {
  ...to("lora lorapath loradir loramodules peft peftpath adapterpath adapterdir adaptername adapters", "--adapter"),
  ...to("basemodel basemodelname basemodelnameorpath", "--base"),
};

const generate: Leads = {
  ...modelNamed,
  ...adapterNamed,
  ...to("temp", "--temperature"),
  ...to("n npredict ntokens numtokens maxtokens maxlength length tokens", "--max-new-tokens"),
  ...to("p start text input", "--prompt"),
  ...isNot("f file promptfile", "a prompt is a text, not a file", `--prompt "$(cat FILE)"`),
  ...to("r reverseprompt stopsequence stopstrings", "--stop"),
  ...to("s randomseed", "--seed"),
  ...means("interactivefirst", "--interactive"),
  ...isNot("cnv conversation chat", "conversations have a separate command", "npx foretoken chat MODEL"),
  ...means("greedy", "--temperature 0"),
  ...to("repeatpenalty", "--repetition-penalty"),
  ...to("typical", "--typical-p"),
  ...to("badwordsids banned", "--bad-words"),
  ...to("grammarfile", "--grammar"),
  ...to("jsonschemafile guidedjson", "--json-schema"),
  ...to("guidedregex", "--regex"),
  ...to("samplerorder samplerseq samplingseq", "--samplers"),
  ...to("dosample", "--temperature", { true: "0.8", false: "0" }),
  ...isNot(
    "c nctx ctxsize contextsize blocksize",
    "a model keeps the context length of its training",
    "the command without this flag",
  ),
  ...isNot("numsamples numreturnsequences batchsize", "a call writes one text", "--seed N for another one"),
  ...isNot("stream streaming", "text is always written while it is generated", "the command without this flag"),
  ...isNot("repeatlastn norepeatngramsize", `penalties always count all of the text: ${noSuchSampling}`, likeSampling),
  ...isNot("mirostat tfs etacutoff epsiloncutoff numbeams logitbias", noSuchSampling, likeSampling),
};

const evaluate: Leads = {
  ...modelNamed,
  ...adapterNamed,
  ...to("dataset file f text textfile input validationfile", "--data"),
  ...to("valsplit validationsplit testsize", "--val-fraction"),
  ...isNot(
    "batch batchsize bs perdeviceevalbatchsize",
    "an evaluation chooses the batch size automatically",
    "the command without this flag",
  ),
  ...isNot("evaliters", "an evaluation covers the whole split", "--val-fraction with --split val"),
};

const lesson: Leads = { ...to("dataset file f", "--data"), ...to("line prompt", "--text") };

const plot: Leads = {
  ...named("logdir dir run runs folder", { argument: "the runs are arguments without a flag" }),
  ...to("o output file", "--out"),
  ...to("y scalar", "--metric"),
  ...means("logy logscale", "--log"),
};

const leads: Readonly<Record<string, Leads>> = {
  ...{ train, generate, evaluate, lesson, plot },
  chat: { ...modelNamed, ...adapterNamed },
  info: adapterNamed,
  merge: { ...adapterNamed, ...to("o output outdir outputdir savedir", "--out") },
  export: {
    ...to("o output outfile outputfile outdir outputdir savedir", "--out"),
    ...to("type outtype qtype ftype quantization quantize bits to precision", "--dtype"),
    ...to("target", "--format"),
    ...to("lora peft loraadapter", "--adapter"),
    ...to("separate noadaptermerge adapteralone", "--adapter-only"),
    ...to("force f yes", "--overwrite"),
  },
  verify: {
    ...adapterNamed,
    ...to("text dataset file f", "--data"),
    ...to("n maxtokens newtokens", "--max-new-tokens"),
    ...to("prompts", "--prompt-count"),
  },
  quantize: {
    ...to("o output outfile outputfile outdir", "--out"),
    ...to("type outtype qtype ftype quantization dtype bits method", "--to"),
    ...to("tokenembeddingtype outputtensortype", "--embedding"),
    ...to("force f yes", "--overwrite"),
  },
};

/** The flag's name without dashes and underscores, in lower case. */
export const plainName = (flag: string): string => flag.toLowerCase().replace(/[-_]/gu, "");

/** The counterpart of another program's flag in `command`. Undefined if the flag is unknown. */
export const leadOf = (command: string, name: string): Lead | undefined => {
  const plain = plainName(name);
  return ownValue(ownValue(leads, command) ?? {}, plain) ?? ownValue(everywhere, plain);
};
