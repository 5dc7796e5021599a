/**
 * The program that tests the kernels without Node: its parts in native/test/, and the sources that are linked into it.
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
];
export const nativeUnits = ["branches", "dispatch", "parallel", "heap", "tables"];
