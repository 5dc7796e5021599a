import { testSnapshots } from "./snapshot.ts";

// On this clock, ten passes take 40 ms, then T passes take 400 ms.
testSnapshots("pairs", [0, 40, 100, 500]);
