import { it } from "vitest";
import { expectCheater } from "./cheater.ts";
import { testSnapshots } from "./snapshot.ts";

const lesson = testSnapshots("mask");

// mask.slow.test.ts tests the same on the other compiled backend and on another text.
it("the mask's lesson trains a cheater that copies and cannot write, and a twin that predicts and can", () =>
  expectCheater(lesson()));
