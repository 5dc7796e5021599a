import { testSnapshots } from "./snapshot.ts";

testSnapshots("loss");
