import { testSnapshots } from "./snapshot.ts";

testSnapshots("mask");
