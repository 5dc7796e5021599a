/**
 * An error of a constraint contains the name of the field in the program or the request, such as
 * `constraint.schema: #/properties/age/minimun`.
 */
import { ConfigError } from "../../core/errors/errors.ts";
import { within } from "./budget.ts";
import type { Constraint } from "./constraint.ts";

/** For each type of constraint: the field that describes the allowed texts. */
const fields: { readonly [Kind in Constraint["kind"]]?: string } = {
  ...{ jsonSchema: "schema", regex: "pattern", grammar: "grammar", choice: "choices", token: "name", repeat: "part" },
};

/** The field that an error of a constraint names. @param path place of the constraint. */
export const fieldOf = (path: string, { kind }: Constraint): string => {
  const field = fields[kind];
  return field === undefined ? path : `${path}.${field}`;
};

const renamed = (error: ConfigError, rename: (where: string) => string): ConfigError =>
  new ConfigError({ ...error.details, where: rename(error.details.where), cause: error });

/** Names of places that the constraint compiler itself puts into errors. */
const ownNames =
  /^(?:schema|number|format [^:]*|constraint(?:: (?:json|jsonSchema|grammar|regex|choice|token|repeat))?)(?=$|[: ])/u;

/** Runs the work on one field of a constraint. Errors of the work name the field and the place inside the field. */
export const inField = <T>(field: string, work: () => T): T => {
  try {
    return within(Number.MAX_SAFE_INTEGER, field, work);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw renamed(error, (where) => where.replace(ownNames, () => field).replace(/: #$/u, ""));
  }
};

/**
 * Runs work that compiles a constraint. Errors of the work name `field` instead of `constraint`. Errors also name
 * `field` instead of `constraint.schema`, the pattern, the grammar or the choices.
 */
export const asField = <T>(field: string, work: () => T): T => {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw renamed(error, (where) =>
      where.replace(/^constraint(?:\.(?:schema|pattern|grammar|choices)(?=$|[: ]))?/u, () => field),
    );
  }
};
