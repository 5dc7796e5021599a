/** Chooses the backends to check, and the ways in which each backend computes. */
import type { Backend, BackendName } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/choices.node.ts";
import type { BackendOptions, BackendReport } from "../backend/select.node.ts";
import type { Form } from "./model/forms.ts";

/** Opens a backend, like `openBackend`. */
export type Open = (name: BackendName, options: BackendOptions) => Promise<Backend>;

/** A backend to check. */
export interface CheckedBackend {
  readonly name: BackendName;
  /** All ways in which training and generation can compute on this backend, such as dtypes. */
  readonly forms: readonly Form[];
  /** The ways in which matrix products have the precision of float32. */
  readonly exact: readonly Form[];
  /** Numbers of threads to check. For each number, the results must have the same bits as with one thread. */
  readonly threads: readonly number[];
}

/** Opens a backend to read its capabilities. */
const capabilitiesOf = async (open: Open, name: BackendName, options: BackendOptions) => {
  const backend = await open(name, { ...options, threads: 1 });
  await backend.close();
  return backend.capabilities;
};

const describe = async (
  open: Open,
  { name, threads, fasterDtype }: BackendReport["backends"][number] & { readonly available: true },
  asked: number | undefined,
): Promise<CheckedBackend> => {
  const form = (words: string, options: BackendOptions): Form => ({
    words,
    open: (count) => open(name, { ...options, threads: count }),
  });
  const manyRows = await capabilitiesOf(open, name, { manyRows: true });
  const exact = [
    form("float32", {}),
    ...(manyRows.tiles === "float32" ? [form("float32 with tiles", { manyRows: true })] : []),
  ];
  const faster = fasterDtype === "bfloat16" ? [form("bfloat16", { dtype: "bfloat16", manyRows: true })] : [];
  const most = asked ?? Math.max(2, threads);
  const counts = name === "reference" ? [] : [...new Set([Math.min(2, most), most])].filter((count) => count > 1);
  return { name, exact, forms: [...exact, ...faster], threads: counts };
};

/** An installed backend that cannot be opened. */
export interface BrokenBackend {
  readonly name: BackendName;
  readonly error: unknown;
}

/**
 * The backends to check. If the user named a backend, only this backend is checked. Otherwise the native backend and
 * the WebAssembly backend are checked if they are installed. If only the reference is installed, the reference is
 * checked.
 * @param threads number of threads that the user requested.
 * @throws UnsupportedKernelError for a named backend that is missing.
 */
export const backendsToCheck = async (
  open: Open,
  { backends }: BackendReport,
  choice: BackendChoice,
  threads: number | undefined,
): Promise<readonly (CheckedBackend | BrokenBackend)[]> => {
  // If the backend is missing, this call throws an error with the reason.
  if (choice !== "auto") await capabilitiesOf(open, choice, {});
  const found = backends.flatMap((one) => (one.available ? [one] : []));
  const compiled = found.filter(({ name }) => name !== "reference");
  const chosen =
    choice !== "auto" ? found.filter(({ name }) => name === choice) : compiled.length > 0 ? compiled : found;
  const checked: (CheckedBackend | BrokenBackend)[] = [];
  for (const one of chosen)
    checked.push(await describe(open, one, threads).catch((error: unknown) => ({ name: one.name, error })));
  return checked;
};
