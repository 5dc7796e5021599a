import { chooseTheme, type ThemeChoice, themeChoice } from "./theme.ts";

const next: Readonly<Record<ThemeChoice, ThemeChoice>> = { system: "light", light: "dark", dark: "system" };
const labels: Readonly<Record<ThemeChoice, string>> = { system: "Auto", light: "Light", dark: "Dark" };

/** Switches between the themes auto, light and dark. */
export const ThemeSwitch = () => {
  const choice = themeChoice.value;
  return (
    <button
      type="button"
      class="quiet theme-switch"
      aria-label={`Theme: ${labels[choice]}. Switch to ${labels[next[choice]]}`}
      onClick={() => chooseTheme(next[choice])}
    >
      <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
        <circle cx="7" cy="7" r="5.5" fill="none" stroke="currentColor" stroke-width="1.5" />
        <path d="M7 1.5a5.5 5.5 0 0 1 0 11Z" fill="currentColor" />
      </svg>
      {labels[choice]}
    </button>
  );
};
