/**
 * The sources of the program that tests the kernels without Node: its own files in native/test/, and the other sources
 * that the program links.
 */
export const nativeTests = [
  "kernels",
  "elementwise",
  "layers",
  "rotary",
  "products",
  "attention",
  "blocks",
  "branches",
  "dispatch",
];
export const nativeUnits = ["branches", "dispatch", "parallel", "heap", "tables"];
