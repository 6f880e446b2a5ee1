/* What Django's admin leaves without a name, or out of reach of the keyboard. */
// Pickers are made by jQuery when the page is ready; what is asked of it later comes after them.
const ready = window.django?.jQuery ?? ((run) => run());
ready(() => {
  // A picker is read as its value alone, and as nothing at all while it is empty.
  for (const picker of document.querySelectorAll(".select2-container")) {
    const select = picker.previousElementSibling;
    const label = document.querySelector(`label[for="${select?.id}"]`);
    if (!label) continue;
    label.id ||= `${select.id}_label`;
    const value = picker.querySelector(".select2-selection__rendered");
    value?.setAttribute("aria-label", label.textContent.trim());
    const box = picker.querySelector(".select2-selection");
    box.setAttribute("aria-labelledby", `${label.id} ${value?.id ?? ""}`);
  }
  // Its label is a picture.
  document.getElementById("searchbar")?.setAttribute("aria-label", "Search");
  for (const wide of document.querySelectorAll(".inline-group, .results")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
});
