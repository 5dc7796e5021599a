import { testSnapshots } from "./snapshot.ts";

// Ten passes in 40 ms, then T in 400.
testSnapshots("pairs", [0, 40, 100, 500]);
