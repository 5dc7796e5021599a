/** Frame of all views: navigation, theme, and state of the connection. */
import { useComputed, useSignalEffect } from "@preact/signals";
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { NewRunView } from "../new-run/new-run-view.tsx";
import { withCommand } from "../parts/advice.ts";
import { Command } from "../parts/command.tsx";
import { Copy } from "../parts/copy.tsx";
import { fadeEdges } from "../parts/fade-edges.ts";
import { keepInView } from "../parts/in-row.ts";
import { RunView } from "../run/run-view.tsx";
import { RunsView } from "../runs/runs-view.tsx";
import { lostStreams } from "../server/event-stream.ts";
import { info } from "../server/facts.ts";
import { isUnreachable } from "../server/request.ts";
import { path, unescaped } from "./address.ts";
import { CopyLink } from "./copy-link.tsx";
import { later } from "./later.tsx";
import { ThemeSwitch } from "./theme-switch.tsx";

/** Views in the navigation. Add new views here. */
const places = [
  { href: "/runs", label: "Runs" },
  { href: "/new", label: "New run" },
  { href: "/playground", label: "Playground" },
  { href: "/chat", label: "Chat" },
  { href: "/inside", label: "Inside" },
  { href: "/lesson", label: "Lesson" },
] as const;
/** This link is shown only if the studio runs a server for other programs. */
const servingPlace = { href: "/server", label: "Server" } as const;

const Serving = later(async () => (await import("../serving/serving-view.tsx")).ServingView);
const Compare = later(async () => (await import("../compare/compare-view.tsx")).CompareView);
const Sweep = later(async () => (await import("../sweep/views.ts")).SweepView);
const Playground = later(async () => (await import("../playground/playground-view.tsx")).PlaygroundView);
const Chat = later(async () => (await import("../chat/chat-view.tsx")).ChatView);
const Inside = later(async () => (await import("../inside/inside-view.tsx")).InsideView);
const Lesson = later(async () => (await import("../lesson/lesson-view.tsx")).LessonView);

interface Shown {
  readonly title: string;
  readonly place: string;
  readonly view: VNode;
}

const NotFound = () => (
  <section class="empty">
    <h1>Page not found</h1>
    <p>
      The studio has no page at this address. <a href="/runs">See the runs</a>
    </p>
  </section>
);

const shownAt = (at: string): Shown => {
  const run = /^\/runs\/([^/]+)\/?$/.exec(at)?.[1];
  if (run !== undefined) {
    const name = unescaped(run);
    return { title: name, place: "/runs", view: <RunView key={name} name={name} /> };
  }
  const sweep = /^\/sweeps\/([^/]+)\/?$/.exec(at)?.[1];
  if (sweep !== undefined) {
    const name = unescaped(sweep);
    return { title: name, place: "/runs", view: <Sweep key={name} name={name} /> };
  }
  if (at === "/" || at === "/runs" || at === "/runs/") return { title: "Runs", place: "/runs", view: <RunsView /> };
  if (at === "/compare") return { title: "Compare", place: "/runs", view: <Compare /> };
  if (at === "/new") return { title: "New run", place: "/new", view: <NewRunView /> };
  if (at === "/playground") return { title: "Playground", place: "/playground", view: <Playground /> };
  if (at === "/chat") return { title: "Chat", place: "/chat", view: <Chat /> };
  if (at === "/inside") return { title: "Inside", place: "/inside", view: <Inside /> };
  if (at === "/lesson") return { title: "Lesson", place: "/lesson", view: <Lesson /> };
  if (at === "/server") return { title: "Server", place: "/server", view: <Serving /> };
  return { title: "Not found", place: "", view: <NotFound /> };
};

const studioCommand = "npx foretoken studio";

/** The only message about a lost connection. */
const Lost = () => {
  const isLost = lostStreams.value > 0 || isUnreachable.value;
  useEffect(() => {
    if (!isLost) return;
    // A view without a stream would notice only at its next request that the studio responds again.
    const timer = setInterval(() => void info.load(), 2000);
    return () => clearInterval(timer);
  }, [isLost]);
  return (
    <div class="lost" role="status">
      {isLost && (
        <p>
          <span>
            The connection to the studio is lost. The page reconnects by itself. If the studio has ended, start it again
            in a terminal: <code>{studioCommand}</code>
          </span>
          <Copy quiet label="Copy" text={() => studioCommand} />
        </p>
      )}
    </div>
  );
};

const Facts = () => {
  const value = info.value.value;
  if (value === undefined) return <span>Foretoken studio</span>;
  const { backend, version, runsFolder } = value;
  return (
    <span>
      Foretoken {version}, {backend.name} {backend.instructionSet}, {backend.threads}{" "}
      {backend.threads === 1 ? "thread" : "threads"}. Runs folder: <span class="mono">{runsFolder}</span>.
    </span>
  );
};

/** Says how to get the missing native kernels. The message contains a command to copy. */
const Advice = () => {
  const { name, advice } = info.value.value?.backend ?? {};
  if (advice == null) return null;
  const { words, command } = withCommand(advice);
  return (
    <div class="advice">
      <p>
        The backend {name} is {words}
      </p>
      {command !== undefined && <Command text={command} />}
    </div>
  );
};

const Main = ({ at, children }: { readonly at: string; readonly children: ComponentChildren }) => {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // Moves the focus to the new view for users of a keyboard or a screen reader. A browser does the same after loading
    // a page.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [at]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      {children}
    </main>
  );
};

export const App = () => {
  const shown = useComputed(() => shownAt(path.value));
  useEffect(() => {
    void info.load();
    if (location.pathname === "/") {
      history.replaceState(null, "", "/runs");
    }
  }, []);
  useSignalEffect(() => {
    document.title = `${shown.value.title} · Foretoken studio`;
  });
  const { place, view } = shown.value;
  const nav = useRef<HTMLElement>(null);
  // On a narrow screen, the navigation is a row that scrolls.
  const serves = info.value.value?.serves === true;
  useEffect(() => {
    keepInView(nav.current, "[aria-current]");
    return fadeEdges(nav.current);
  }, [place, serves]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the view
      </a>
      <header class="head">
        <a class="brand" href="/runs">
          <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
            <path d="M5 5c2 13 8 20 22 21" />
            <circle cx="27" cy="26" r="3.5" />
          </svg>
          <span>Foretoken</span>
        </a>
        <nav ref={nav} aria-label="Views">
          {[...places, ...(serves ? [servingPlace] : [])].map(({ href, label }) => (
            <a key={href} href={href} aria-current={href === place ? "page" : undefined}>
              {label}
            </a>
          ))}
        </nav>
        <ThemeSwitch />
      </header>
      <Lost />
      <Main at={path.value}>{view}</Main>
      <footer class="foot soft">
        <Facts /> <CopyLink />
        <Advice />
      </footer>
    </>
  );
};
