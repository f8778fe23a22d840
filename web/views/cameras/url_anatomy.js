// What the parts of an RTSP URL mean.
import { html } from "../../html.js";

export const UrlAnatomy = () => html`
  <dl class="anatomy">
    <div><dt>rtsp://</dt><dd>always</dd></div>
    <div><dt>user:password@</dt><dd>the camera's login, if it has one</dd></div>
    <div><dt>192.168.1.20</dt><dd>its address in your network</dd></div>
    <div><dt>:554</dt><dd>the port, nearly always 554</dd></div>
    <div><dt>/stream1</dt><dd>the path, different for each maker</dd></div>
  </dl>
`;
