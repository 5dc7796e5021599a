/** Light or dark theme. Default: the system's theme. The browser stores a theme that the user chooses. */
import { computed, signal } from "@preact/signals";

export type ThemeChoice = "system" | "light" | "dark";
const key = "foretoken.theme";

const kept = (): ThemeChoice => {
  const { theme } = document.documentElement.dataset;
  return theme === "light" || theme === "dark" ? theme : "system";
};

export const themeChoice = signal<ThemeChoice>(kept());
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", () => {
  systemIsDark.value = systemDark.matches;
});

/** Theme that is shown. When it changes, charts read their colours again. */
export const theme = computed<"light" | "dark">(() =>
  themeChoice.value === "system" ? (systemIsDark.value ? "dark" : "light") : themeChoice.value,
);

export const chooseTheme = (choice: ThemeChoice): void => {
  const { dataset } = document.documentElement;
  if (choice === "system") delete dataset.theme;
  else dataset.theme = choice;
  themeChoice.value = choice;
  try {
    if (choice === "system") localStorage.removeItem(key);
    else localStorage.setItem(key, choice);
  } catch {
    // Without storage, the choice applies until the page is closed.
  }
};
