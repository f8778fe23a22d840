"""What the doctor says about https."""

from __future__ import annotations

from fakes.clock import ManualClock
from joyvl_server.api.listening.certificate import find_certificate
from joyvl_server.cli.doctor.machine.https import HttpsCheck
from joyvl_server.cli.doctor.report import Finding, FindingStatus
from joyvl_server.settings import Settings

DAY_S = 86_400.0


async def found(folder, clock: ManualClock, **server: object) -> Finding:
    (finding,) = await HttpsCheck(Settings(data_dir=folder, server=server), clock).run()
    return finding


async def test_the_fingerprint_the_end_and_what_is_wrong(tmp_path):
    clock = ManualClock()
    assert (await found(tmp_path, clock)).status == FindingStatus.SKIPPED
    open_wide = await found(tmp_path, clock, host="0.0.0.0")
    assert open_wide.status == FindingStatus.WARNING
    assert "--tls self-signed" in open_wide.advice
    proxied = await found(tmp_path, clock, host="0.0.0.0", trusted_proxies=["10.0.0.1"])
    assert proxied.status == FindingStatus.SKIPPED

    assert (await found(tmp_path, clock, tls="self-signed")).status == FindingStatus.SKIPPED
    assert list(tmp_path.iterdir()) == []  # it makes nothing
    made = find_certificate(Settings(data_dir=tmp_path, server={"tls": "self-signed"}), clock.wall())
    assert made is not None
    fine = await found(tmp_path, clock, tls="self-signed")
    assert fine.status == FindingStatus.OK
    assert made.facts.fingerprint in fine.message

    files = {"tls": "files", "tls_cert": tmp_path / "tls/cert.pem", "tls_key": tmp_path / "tls/key.pem"}
    assert (await found(tmp_path, clock, **files)).status == FindingStatus.OK
    late = ManualClock(wall=made.facts.expires - 10 * DAY_S)
    assert (await found(tmp_path, late, **files)).status == FindingStatus.WARNING
    broken = await found(tmp_path, clock, **{**files, "tls_key": tmp_path / "none.pem"})
    assert broken.status == FindingStatus.PROBLEM
    assert "none.pem cannot be read" in broken.message
