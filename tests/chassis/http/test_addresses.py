"""A URL given by a user leads to the public Internet or nowhere, however it is written and whatever its name says later."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.outbound import AddressRefused, Unreachable
from shared.infra.http.addresses import PublicAddresses, is_public
from tests.chassis.http.service import serving

PUBLIC = ["1.1.1.1", "93.184.215.14", "172.32.0.1", "192.169.0.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"]
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.88.99.1", "192.0.0.192", "192.168.0.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:1.1.1.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1", "2606:4700:4700::1111%1",
]  # fmt: skip


class Names:
    """A resolver that answers with each of the given lists in turn, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def local(names):
    """As if the addresses of this machine were public ones, and 127.0.0.9 was not."""
    return PublicAddresses(names, admits=lambda address: address.is_loopback and address != IPv4Address("127.0.0.9"))


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address):
    assert not is_public(ip_address(address))


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_is_public_that_the_standard_library_knows_to_be_special(address):
    if is_public(address):
        assert address.is_global
        assert not any((address.is_private, address.is_loopback, address.is_link_local, address.is_multicast, address.is_reserved))
        assert not (isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour or address.teredo))


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_public_inside_an_ipv6_one(address):
    number = int(address)
    for carrier in (0xFFFF << 32, 0, 0x64FF9B << 96, 0x2002 << 112):
        shift = 80 if carrier >> 112 == 0x2002 else 0
        assert not is_public(IPv6Address(carrier | (number << shift)))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0x7F.1", "127.0.0.1.",
        "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "localhost",
        "LOCALHOST", "localhost.",
        "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "192.168.0.1", "1.1.1.01", "1.1.1", "16843009",
    ],
)  # fmt: skip
async def test_no_spelling_of_an_inner_address_is_called(make_client, service, host):
    client = make_client(addresses=PublicAddresses())
    port = service.url.rpartition(":")[2]
    with pytest.raises((AddressRefused, Unreachable)):
        await client.request("POST", f"http://{host}:{port}/hook")
    assert service.seen == []
    assert service.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://1.1.1.1/", "file:///etc/passwd", "gopher://1.1.1.1/", "//1.1.1.1/", "/path", "", "http://", "http:///path", "http://[::1", "http://a:b",
        "http://user:pw@1.1.1.1/", "http://1.1.1.1@127.0.0.1/", "http://exa mple.com/", "http://a.example:99999/", "http://①②⑦.0.0.1/",
    ],
)  # fmt: skip
async def test_what_is_no_plain_web_address_is_refused_before_anything_is_looked_up(make_client, url):
    names = Names(["1.1.1.1"])
    with pytest.raises(AddressRefused):
        await make_client(addresses=PublicAddresses(names)).request("GET", url)
    assert names.asked == []


@pytest.mark.parametrize(
    "host", ["16843009", "0x1010101", "1.1.257", "1.1.1.01", "0x1.1.1.1", "01.1.1.1", "1.1.1.1.1", "1.1.1.0x1.", "name.1"]
)
async def test_an_address_that_is_disguised_is_refused_whatever_it_leads_to(host):
    names = Names(["1.1.1.1"])
    with pytest.raises(AddressRefused):
        await PublicAddresses(names).admit(host, 443)
    assert names.asked == []


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700:4700::1111", "1.1.1.1.example", "0x1.example", "hooks.example."])
async def test_a_plain_address_or_name_is_not(host):
    assert await PublicAddresses(Names(["1.1.1.1", "2606:4700:4700::1111"])).admit(host, 443) == "1.1.1.1"


async def test_one_inner_address_among_public_ones_is_enough_to_refuse(make_client, service):
    client = make_client(addresses=local(Names(["127.0.0.1", "127.0.0.9"])))
    with pytest.raises(AddressRefused):
        await client.request("GET", service.url.replace("127.0.0.1", "hooks.example"))
    assert service.connections == 0


async def test_the_name_is_looked_up_once_and_what_was_looked_at_is_connected_to(make_client, service):
    names = Names(["127.0.0.1"], ["127.0.0.9"])
    client = make_client(addresses=local(names))
    url = service.url.replace("127.0.0.1", "hooks.example")

    assert (await client.request("POST", f"{url}/hook", body=b"{}")).status == 200
    assert names.asked == [("hooks.example", int(url.rpartition(":")[2]))]
    assert service.seen[0].headers["host"] == url.removeprefix("http://")

    with pytest.raises(AddressRefused):
        await client.request("POST", f"{url}/hook")
    assert len(service.seen) == 1


async def test_a_name_that_nobody_knows_is_unreachable(make_client):
    async def unknown(host, port):
        raise OSError

    with pytest.raises(Unreachable):
        await make_client(addresses=PublicAddresses(unknown)).request("GET", "https://nobody.example/")


async def test_a_refused_address_says_nothing_about_any_target(make_client):
    client = make_client(addresses=PublicAddresses(Names(["10.0.0.1"])))
    for _ in range(60):
        with pytest.raises(AddressRefused):
            await client.request("GET", "https://hooks.example/")
    assert client.breakers() == {"https://hooks.example": "closed"}


async def test_names_that_share_an_address_share_no_connection(make_client, service):
    client = make_client(addresses=local(Names(["127.0.0.1"])))
    for name in ("a.example", "b.example", "a.example"):
        await client.request("GET", service.url.replace("127.0.0.1", name))
    assert len({seen.connection for seen in service.seen}) == 3


def _certificates(name):
    """What a server called `name` proves itself with, and the trust in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    written = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return written + private, ssl.create_default_context(cadata=written.decode())


@pytest.fixture
async def secure(tmp_path):
    pem, trust = _certificates("hooks.example")
    (tmp_path / "server.pem").write_bytes(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    names = []
    context.sni_callback = lambda socket, name, context: names.append(name)
    async with serving(context) as service:
        yield service, trust, names


async def test_host_sni_and_certificate_are_those_of_the_name(make_client, secure):
    service, trust, names = secure
    client = make_client(addresses=local(Names(["127.0.0.1"])), trust=trust)
    url = service.url.replace("127.0.0.1", "hooks.example")
    assert (await client.request("GET", url)).status == 200
    assert names == ["hooks.example"]
    assert service.seen[0].headers["host"] == url.removeprefix("https://")


async def test_a_certificate_of_another_name_is_refused(make_client, secure):
    service, trust, _ = secure
    client = make_client(addresses=local(Names(["127.0.0.1"])), trust=trust)
    with pytest.raises(Unreachable):
        await client.request("GET", service.url.replace("127.0.0.1", "other.example"))
    assert service.seen == []
