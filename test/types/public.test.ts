/**
 * Starts all suites about the library's types and docstrings in one file, so that TypeScript reads the sources only
 * once.
 */
import "./docstrings.ts";
import "./examples.ts";
import "./named.ts";
import "./stability.ts";
