/** Errors of a constraint name its field, as a program or a request has it: `constraint.schema: #/properties/age/minimun`. */
import { ConfigError } from "../../core/errors/errors.ts";
import { within } from "./budget.ts";
import type { Constraint } from "./constraint.ts";

/** Fields that have what a constraint of a kind allows. */
const fields: { readonly [Kind in Constraint["kind"]]?: string } = {
  ...{ jsonSchema: "schema", regex: "pattern", grammar: "grammar", choice: "choices", token: "name", repeat: "part" },
};

/** The field of a constraint that an error is about. @param path the constraint itself. */
export const fieldOf = (path: string, { kind }: Constraint): string => {
  const field = fields[kind];
  return field === undefined ? path : `${path}.${field}`;
};

const renamed = (error: ConfigError, rename: (where: string) => string): ConfigError =>
  new ConfigError({ ...error.details, where: rename(error.details.where), cause: error });

/** Parts of the work name themselves so. */
const ownNames =
  /^(?:schema|number|format [^:]*|constraint(?:: (?:json|jsonSchema|grammar|regex|choice|token|repeat))?)(?=$|[: ])/u;

/** Runs the work on one field of a constraint. Its errors name the field, and the place inside of it. */
export const inField = <T>(field: string, work: () => T): T => {
  try {
    return within(Number.MAX_SAFE_INTEGER, field, work);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw renamed(error, (where) => where.replace(ownNames, () => field).replace(/: #$/u, ""));
  }
};

/** Runs work that compiles a constraint. Its errors name `field` in place of the constraint, or of what a constraint of one part has. */
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
