import { useEffect } from "preact/hooks";
import { onMainAction } from "../parts/main-action.ts";
import { fields, info, models } from "../server/facts.ts";
import { loadRuns } from "../server/run-list.ts";
import { address, setQuery } from "../shell/address.ts";
import { takeLike } from "./like-run.ts";
import { PlanPanel } from "./plan-panel.tsx";
import { keepPlanning, planFailure } from "./planned.ts";
import { Settings } from "./settings.tsx";
import { start } from "./start.ts";
import { TextChoice } from "./text-choice.tsx";
import { goToWrong } from "./wrong.tsx";

/** Main action: starts the run. If a field is wrong, moves to this field. */
const startOrShow = (): void => {
  if (planFailure.value === undefined) void start();
  else goToWrong();
};

export const NewRunView = () => {
  const like = address.value.query.get("like");
  useEffect(() => {
    // Runs once. After a reload, the form keeps later changes.
    if (like !== null) void takeLike(like).finally(() => setQuery({ like: null }));
  }, [like]);
  useEffect(() => {
    void fields.load();
    void models.load();
    void loadRuns();
    return keepPlanning();
  }, []);
  // All parts appear at the same time. Otherwise the form would move while the user clicks.
  const isAsked = [fields, info, models].some(
    ({ value, failure }) => value.value === undefined && failure.value === undefined,
  );
  if (isAsked || like !== null) {
    return (
      <section>
        <h1>New run</h1>
        <p class="soft waiting">Reading the settings…</p>
      </section>
    );
  }
  return (
    <section>
      <h1>New run</h1>
      <p class="lead soft">
        A run trains a language model on a text, until it can continue the text. It begins with the text: everything
        else follows from it.
      </p>
      <form class="new-run" onKeyDown={onMainAction(startOrShow)} onSubmit={(event) => event.preventDefault()}>
        <TextChoice />
        <PlanPanel />
        <Settings />
      </form>
    </section>
  );
};
