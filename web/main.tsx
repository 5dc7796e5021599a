import { render } from "preact";
import "./style/index.css";
import { App } from "./shell/app.tsx";

const page = document.getElementById("page");
if (page !== null) render(<App />, page);
