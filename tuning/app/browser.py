"""What the browser itself is told: colours in light and dark, keys, and files that are dropped on the page."""

from __future__ import annotations

from ciliary.envs.data.sources import EXTENSIONS

#: Files that a person may choose; what they hold is judged when they are read.
PICTURES = ",".join(("image/*", *sorted(EXTENSIONS)))
SETTINGS = ".json,application/json"

#: Inks in light and dark have at least 4.5 times the luminance of their paper, or it theirs (WCAG 2.2, 1.4.3).
STYLE = """
body { --paper: #fafafa; --card: #fff; --line: #d5d9dd; --ink: #22262b; --faint: #5c646d; --act: #c2410c;
  --q-primary: #4a545e !important; background: var(--paper); color: var(--ink) }
body.body--dark { --paper: #16181b; --card: #1e2125; --line: #3a4047; --ink: #e8eaed; --faint: #a9b1ba; --act: #f08a4b;
  --q-primary: #c3cad2 !important }
.nicegui-content { padding: 0.75rem; max-width: 110rem; margin: 0 auto }
.tools .q-btn--flat, .tools .q-btn--outline { color: var(--ink) !important }
.q-field__label, .q-field__native, .q-field__marginal, .caption { color: var(--faint) !important }
.q-field__native { color: var(--ink) !important }
.turn .q-slider__track, .turn .q-slider__thumb, .turn .q-slider__selection { color: var(--act) }
.turn .q-slider__inner { background: var(--line) }
.turn .q-slider__selection { background: var(--act) }
.choice.q-btn-group { border: 1px solid var(--line) }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 4px; padding: 0.75rem }
.watched { position: sticky; top: 0; z-index: 5; background: var(--paper) }
.shown { position: relative; line-height: 0 }
.shown img { width: 100%; border-radius: 4px }
.shown img + img { position: absolute; inset: 0 }
.shown img[src=""], .shown img:not([src]) { visibility: hidden }
.at-first { visibility: hidden }
.is-first .at-first { visibility: visible }
.is-first .at-now { visibility: hidden }
.without-lines .lines { display: none }
.words { display: grid }
.words > * { grid-area: 1 / 1 }
.filmed { width: fit-content; max-width: 100% }
.film { background: #fff; border-radius: 4px; max-width: 640px; width: 100% }
.hold { touch-action: none; user-select: none }
.is-dropping::after { content: "Drop a picture, or exported settings"; position: fixed; inset: 0.75rem; z-index: 9000;
  display: grid; place-items: center; font-size: 1.25rem; color: var(--ink); background: var(--paper); opacity: 0.92;
  border: 2px dashed var(--act); border-radius: 8px; pointer-events: none }
@media (max-width: 640px) {
  .wordy { display: none }
  .tools .q-btn:not(.kept, .kept *) .q-btn__content { font-size: 0 }
  .tools .q-btn:not(.kept, .kept *) .q-icon { font-size: 24px; margin: 0 }
  .tools .q-btn:not(.kept, .kept *) { padding: 4px 8px }
}
"""

_SCRIPT = """<script>
(() => {
  const body = () => document.body.classList;
  const isTyping = event => event.target.closest?.("input, textarea, [contenteditable]");
  const isFiles = event => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const first = isHeld => body().toggle("is-first", isHeld);
  addEventListener("keydown", event => {
    const key = event.key.toLowerCase(), isOther = event.ctrlKey || event.metaKey;
    if (isTyping(event)) return;
    if (isOther && !event.shiftKey && key === "z") { event.preventDefault(); emitEvent("undo"); }
    else if (!isOther && !event.altKey && key === "b") first(true);
    else if (key === " " && event.target.closest?.(".hold")) { event.preventDefault(); first(true); }
  });
  addEventListener("keyup", event => { if (["b", " "].includes(event.key.toLowerCase())) first(false); });
  addEventListener("pointerdown", event => { if (event.target.closest?.(".hold")) first(true); });
  for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => first(false));
  addEventListener("contextmenu", event => { if (event.target.closest?.(".hold")) event.preventDefault(); });
  addEventListener("dragover", event => {
    if (isFiles(event)) { event.preventDefault(); body().add("is-dropping"); }
  });
  addEventListener("dragleave", event => { if (!event.relatedTarget) body().remove("is-dropping"); });
  addEventListener("drop", event => {
    if (!isFiles(event)) return;
    event.preventDefault();
    body().remove("is-dropping");
    for (const file of event.dataTransfer.files) {
      const isSettings = file.name.toLowerCase().endsWith(".json");
      getElement(isSettings ? SETTINGS : PICTURE).$refs.qRef.addFiles([file]);
    }
  });
})();
</script>"""


def script(*, picture_id: int, settings_id: int) -> str:
    """The page's own script: Ctrl+Z undoes, B held shows the defaults, files are dropped.

    Args:
        picture_id: of the element that uploads pictures.
        settings_id: of the one that uploads settings.
    """
    return _SCRIPT.replace("SETTINGS", str(settings_id)).replace("PICTURE", str(picture_id))
