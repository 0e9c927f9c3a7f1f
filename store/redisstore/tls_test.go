package redisstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/internal/redistest"
	"github.com/blocking-coordination/coord/store"
)

// selfSigned writes a certificate for 127.0.0.1 and its key, and returns a pool that trusts it.
func selfSigned(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return cert, key, roots
}

func TestTLS(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	_, port, _ := net.SplitHostPort(addr)
	cert, key, roots := selfSigned(t)
	redistest.Start(t, redistest.WithoutPersistence(), redistest.WithConfig("tls-port", port), redistest.WithConfig("tls-auth-clients", "no"),
		redistest.WithConfig("tls-cert-file", cert), redistest.WithConfig("tls-key-file", key))

	trusting := opened(t, "rediss://"+addr, WithTLS(&tls.Config{RootCAs: roots}))
	must(t, trusting.SetEX(t.Context(), "k", []byte("v"), hour))
	for op, err := range every(t.Context(), opened(t, "rediss://"+addr)) {
		if !errors.Is(err, store.ErrDenied) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("untrusted certificate: %s = %v", op, err)
		}
	}
	for op, err := range every(t.Context(), opened(t, "redis://"+addr)) {
		if err == nil || strings.Contains(err.Error(), "\n") { // the server hangs up, which it may also do for other reasons
			t.Errorf("plain text to a TLS port: %s = %v", op, err)
		}
	}
}

func TestTLSToAPlainServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithoutPersistence())
	s := opened(t, "rediss://"+server.Addr, WithTimeout(100*time.Millisecond))
	for op, err := range every(t.Context(), s) {
		if err == nil || !strings.Contains(err.Error(), "TLS to "+server.Addr) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if _, err := Open(t.Context(), "redis://"+server.Addr, WithTLS(&tls.Config{})); err == nil {
		t.Error("a TLS configuration without TLS was taken")
	}
}
