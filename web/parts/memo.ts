/** View that is rendered again only if a property has changed. */
import { type Component, createElement, type FunctionComponent } from "preact";

const differ = (a: object, b: object): boolean => {
  const [before, after] = [Object.entries(a), new Map(Object.entries(b))];
  return before.length !== after.size || before.some(([key, value]) => !after.has(key) || after.get(key) !== value);
};

export const memo = <Props extends object>(view: FunctionComponent<Props>): FunctionComponent<Props> => {
  function Memo(this: Component<Props>, props: Props) {
    this.shouldComponentUpdate = (next) => differ(this.props, next);
    return createElement(view, props);
  }
  return Memo as FunctionComponent<Props>;
};
