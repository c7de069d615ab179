package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// A signed certificate or an authority, with its key. ECDSA P-256, because a
// test suite makes hundreds of them and an RSA key takes a hundred times longer.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

type request struct {
	name   string        // file name without extension
	user   string        // common name: the user that Kubernetes sees
	group  string        // organisation: the group that Kubernetes sees
	server bool          // serves TLS on this machine
	life   time.Duration // a year when zero
}

// writePKI writes everything one cluster needs into dir as NAME.crt and
// NAME.key. Every node gets the identity of a kubelet of that name, which the
// Node authorizer confines to its own objects.
func writePKI(dir string, nodes ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := newIdentity(request{name: "ca", user: "kubernaut-testbed-ca"}, nil, dir)
	if err != nil {
		return err
	}
	frontProxyCA, err := newIdentity(request{name: "front-proxy-ca", user: "kubernaut-testbed-front-proxy-ca"}, nil, dir)
	if err != nil {
		return err
	}
	requests := []request{
		{name: "apiserver", user: "kube-apiserver", server: true},
		{name: "admin", user: "kubernetes-admin", group: "system:masters"},
		{name: "controller-manager", user: "system:kube-controller-manager"},
		{name: "scheduler", user: "system:kube-scheduler"},
		// The API server shows this one to kubelets, for logs and exec.
		{name: "kubelet-client", user: "kube-apiserver-kubelet-client", group: "system:masters"},
		// What a simulated kubelet or an aggregated API serves with.
		{name: "kubelet-server", user: "system:node:simulated", group: "system:nodes", server: true},
	}
	for _, node := range nodes {
		requests = append(requests, request{name: "node-" + node, user: "system:node:" + node, group: "system:nodes"})
	}
	for _, r := range requests {
		if _, err := newIdentity(r, ca, dir); err != nil {
			return err
		}
	}
	if _, err := newIdentity(request{name: "front-proxy-client", user: "front-proxy-client"}, frontProxyCA, dir); err != nil {
		return err
	}
	return writeServiceAccountKeys(dir)
}

// newIdentity makes a key and a certificate signed by the authority, or by
// itself when there is none.
func newIdentity(r request, authority *identity, dir string) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: r.user},
		NotBefore:    time.Now().Add(-time.Hour), // virtual clocks and skewed machines
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if r.life > 0 {
		template.NotAfter = time.Now().Add(r.life)
	}
	if r.group != "" && r.group != "-" {
		template.Subject.Organization = []string{r.group}
	}
	if r.server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "metrics-server.kube-system.svc"}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(10, 96, 0, 1)}
	}
	parent, signer := template, key
	if authority != nil {
		parent, signer = authority.cert, authority.key
	} else {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, r.name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return &identity{cert, key}, writeKey(filepath.Join(dir, r.name+".key"), key)
}

// readIdentity reads an authority back from its files.
func readIdentity(certFile, keyFile string) (*identity, error) {
	decode := func(path string) ([]byte, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fmt.Errorf("%s is not PEM", path)
		}
		return block.Bytes, nil
	}
	der, err := decode(certFile)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if der, err = decode(keyFile); err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, err
	}
	return &identity{cert, key}, nil
}

func writeServiceAccountKeys(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "sa.pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, "sa.key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// addContext adds a cluster, its user and their context, all of the same name,
// to a kubeconfig with the certificates embedded; the first one is current.
func addContext(file, name, server, ca, cert, key string) error {
	config := api.NewConfig()
	if _, err := os.Stat(file); err == nil {
		if config, err = clientcmd.LoadFromFile(file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	var data [3][]byte
	for i, path := range []string{ca, cert, key} {
		var err error
		if data[i], err = os.ReadFile(path); err != nil {
			return err
		}
	}
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: data[0]}
	config.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: data[1], ClientKeyData: data[2]}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	if config.CurrentContext == "" {
		config.CurrentContext = name
	}
	return clientcmd.WriteToFile(*config, file)
}
