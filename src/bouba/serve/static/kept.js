// What the browser keeps between visits: language, theme. It may refuse to.

export function kept(name) {
  try {
    return localStorage.getItem(`bouba.${name}`);
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(`bouba.${name}`);
    else localStorage.setItem(`bouba.${name}`, value);
  } catch {
    // a private window: the choice holds for this page
  }
}
