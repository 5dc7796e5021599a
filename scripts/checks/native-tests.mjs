/** The program that tests the kernels without Node: its parts in native/test/, and the sources that it is linked with. */
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
