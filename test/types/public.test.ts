/** The library's types and docstrings, in one file: TypeScript reads the sources once for all of these suites. */
import "./docstrings.ts";
import "./examples.ts";
import "./named.ts";
import "./stability.ts";
