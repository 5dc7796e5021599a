import { testSnapshots } from "./snapshot.ts";

testSnapshots("generation");
