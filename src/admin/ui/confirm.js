// SPDX-License-Identifier: Apache-2.0
// What is done only after it was asked again.
import { byId, setText } from "./dom.js";

/** Asks in a dialog: its heading, what will happen, and the word on the button that does it. */
export function confirmed({ title, text, yes }) {
    const dialog = byId("confirm");
    setText(byId("confirm-title"), title);
    setText(byId("confirm-text"), text);
    setText(byId("confirm-yes"), yes);
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
        const answer = () => resolve(dialog.returnValue === "yes");
        dialog.addEventListener("close", answer, { once: true });
    });
}

/** What is asked, if anything, is not to be done. */
export const withdraw = () => byId("confirm").close("no");
