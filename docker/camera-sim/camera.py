"""A camera that is not there: plays numbered JPEG pictures in a circle as H.264 over RTSP, at /cam.

    camera.py FOLDER [ADDRESS [PORT]]       the system's Python, with the bindings of gst-rtsp-server
"""

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

FPS = 12
"""of the demo clip"""

folder = sys.argv[1]
address, port = [*sys.argv[2:], *("0.0.0.0", "8554")[len(sys.argv) - 2 :]]

Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_shared(True)
factory.set_launch(
    f"( multifilesrc location={folder}/%04d.jpg loop=true caps=image/jpeg,framerate={FPS}/1 ! jpegdec ! videoconvert"
    f" ! openh264enc gop-size={FPS} bitrate=1000000 ! h264parse ! rtph264pay config-interval=-1 name=pay0 pt=96 )"
)
server = GstRtspServer.RTSPServer()
server.set_address(address)
server.set_service(port)
server.get_mount_points().add_factory("/cam", factory)
if server.attach(None) == 0:
    sys.exit(f"Port {port} of {address} is taken.")
print(f"rtsp://{address}:{server.get_bound_port()}/cam", flush=True)
loop = GLib.MainLoop()
for number in (signal.SIGINT, signal.SIGTERM):
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
loop.run()
