/** Light or dark theme. It is the system's theme until the user chooses a theme, which this browser then stores. */
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

/** Shown theme. Charts read their colours again when it changes. */
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
