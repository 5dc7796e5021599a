/** Views of sweeps. They are loaded together, when one of them is first shown. */
export { SweepView } from "./sweep-view.tsx";
export { SweepsList } from "./sweeps-list.tsx";
