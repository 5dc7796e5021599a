/** The lesson as a separate page for any web host. The page needs no server of its own. */
import { render } from "preact";
import "../../style/index.css";
import { ThemeSwitch } from "../../shell/theme-switch.tsx";
import { LessonView } from "../lesson-view.tsx";

const Site = () => (
  <>
    <a class="skip" href="#main">
      Skip to the lesson
    </a>
    <header class="head">
      <span class="brand">
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M5 5c2 13 8 20 22 21" />
          <circle cx="27" cy="26" r="3.5" />
        </svg>
        <span>Foretoken</span>
      </span>
      <span class="soft">How a language model learns</span>
      <ThemeSwitch />
    </header>
    <main id="main" tabIndex={-1}>
      <LessonView />
    </main>
    <footer class="foot soft">Everything is computed in this tab. Your text is sent nowhere.</footer>
  </>
);

const page = document.getElementById("page");
if (page !== null) render(<Site />, page);
