// What keeps people from reading or using the page that is shown: a list of sentences, empty when all is well.
// Runs in the page. Sources: WCAG 2.2, 1.3.1, 1.4.3, 1.4.10, 1.4.11, 2.4.2, 2.5.8, 3.1.1, 3.3.1, 4.1.2.
() => {
  const faults = [];
  const told = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });

  const parsed = (text) => {
    const numbers = text.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
    if (!numbers) throw new Error(`a colour that is not measured: ${text}`);
    return [Number(numbers[1]), Number(numbers[2]), Number(numbers[3]), numbers[4] === undefined ? 1 : Number(numbers[4])];
  };
  const over = (front, back) => front.slice(0, 3).map((part, i) => part * front[3] + back[i] * (1 - front[3]));
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parsed(getComputedStyle(at).backgroundColor));
    // A ground that nobody paints is the canvas, of which nothing is known here.
    if (!layers.some((layer) => layer[3] === 1)) faults.push(`nobody paints the ground of ${told(element)}`);
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const mustDiffer = (element, colour, least, what) => {
    const back = ground(element);
    const ratio = contrast(over(parsed(colour), back), back);
    if (ratio < least) faults.push(`${what} has a contrast of ${ratio.toFixed(2)}: ${told(element)}`);
  };

  if (!document.documentElement.lang) faults.push("the page does not say its language");
  if (!document.title.trim()) faults.push("the page has no title");
  if (document.querySelectorAll("h1").length !== 1) faults.push("there is not one h1");
  if (document.querySelectorAll("main").length !== 1) faults.push("there is not one main");
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) faults.push("the page scrolls sideways");

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() && shown(element)) mustDiffer(element, getComputedStyle(element).color, 4.5, "text");
  }

  for (const input of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    const label = [...(input.labels ?? [])].map((one) => one.textContent).join(" ").trim();
    if (!label && !input.getAttribute("aria-label")) faults.push(`no label: ${told(input)}`);
    mustDiffer(input, getComputedStyle(input).color, 4.5, "what is typed");
    if (input.type !== "checkbox") mustDiffer(input.parentElement, getComputedStyle(input).borderTopColor, 3, "the border");
    if (input.getAttribute("aria-invalid") === "true" && !input.getAttribute("aria-describedby")) {
      faults.push(`an error that is not tied to its field: ${told(input)}`);
    }
  }
  for (const element of document.querySelectorAll("[aria-describedby], [aria-labelledby]")) {
    const names = `${element.getAttribute("aria-describedby") ?? ""} ${element.getAttribute("aria-labelledby") ?? ""}`;
    for (const name of names.trim().split(/\s+/)) {
      const described = document.getElementById(name);
      if (!described || !described.textContent.trim()) faults.push(`described by nothing, ${name}: ${told(element)}`);
    }
  }
  for (const image of document.querySelectorAll("img")) {
    if (!image.hasAttribute("alt")) faults.push(`no alternative: ${told(image)}`);
    if (!image.complete || image.naturalWidth === 0) faults.push(`an image that is not there: ${told(image)}`);
  }
  for (const control of document.querySelectorAll("a[href], button, input:not([type=hidden])")) {
    if (!shown(control)) continue;
    if (control.matches("a, button") && !control.textContent.trim()) faults.push(`no name: ${told(control)}`);
    const box = (control.type === "checkbox" && control.closest("label") || control).getBoundingClientRect();
    const flows = getComputedStyle(control).display === "inline";
    if (!flows && Math.min(box.width, box.height) < 24) faults.push(`too small to touch: ${told(control)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) faults.push(`an id stands twice among ${ids}`);
  return faults;
}
