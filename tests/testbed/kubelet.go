package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy"
	"k8s.io/apimachinery/pkg/util/httpstream/wsstream"
	"k8s.io/client-go/kubernetes"
)

// streamNode is the one node that can be streamed to: exec runs a program of
// this machine and port-forward dials its loopback, so that a test has real
// bytes at the other end. There are no containers; pods are put on the node by
// naming it, and only processes with the API server's certificate get in.
const streamNode = "stream-node"

// startStreaming serves in this process and registers the node.
func (c *cluster) startStreaming(client kubernetes.Interface) error {
	pair, err := tls.LoadX509KeyPair(c.cert("kubelet-server"), c.key("kubelet-server"))
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(c.CA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(serveStream), ReadHeaderTimeout: 10 * time.Second}
	secure := tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	go func() { _ = server.Serve(secure) }()

	node := &core.Node{ObjectMeta: meta.ObjectMeta{Name: streamNode}, Spec: core.NodeSpec{Unschedulable: true}}
	if node, err = client.CoreV1().Nodes().Create(context.Background(), node, meta.CreateOptions{}); err != nil {
		return err
	}
	node.Status.Addresses = []core.NodeAddress{{Type: core.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(listener.Addr().(*net.TCPAddr).Port)
	_, err = client.CoreV1().Nodes().UpdateStatus(context.Background(), node, meta.UpdateOptions{})
	return err
}

// Paths of a kubelet: /exec/NAMESPACE/POD/CONTAINER and /portForward/NAMESPACE/POD.
func serveStream(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/exec/"):
		serveExec(w, r)
	case strings.HasPrefix(r.URL.Path, "/portForward/"):
		servePortForward(w, r)
	default:
		http.NotFound(w, r)
	}
}

type execStreams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	status         io.WriteCloser
	close          func()
}

func serveExec(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	wants := func(name string) bool { return query.Get(name) == "1" || query.Get(name) == "true" }
	open := openSPDY
	if wsstream.IsWebSocketRequest(r) {
		open = openWebSocket
	}
	streams, err := open(w, r, wants("input") || wants("stdin"), wants("output") || wants("stdout"), wants("error") || wants("stderr"))
	if err != nil {
		return // the upgrade has answered
	}
	defer streams.close()
	_ = json.NewEncoder(streams.status).Encode(run(query["command"], streams))
	_ = streams.status.Close()
}

// run gives the Status that a kubelet writes on the error stream.
func run(command []string, streams *execStreams) *meta.Status {
	failure := func(message string) *meta.Status {
		return &meta.Status{Status: meta.StatusFailure, Reason: meta.StatusReasonInternalError, Code: 500, Message: message}
	}
	if len(command) == 0 {
		return failure("no command")
	}
	process := exec.Command(command[0], command[1:]...)
	process.Stdout, process.Stderr = streams.stdout, streams.stderr
	var input io.WriteCloser
	if streams.stdin != nil {
		var err error
		if input, err = process.StdinPipe(); err != nil {
			return failure(err.Error())
		}
	}
	if err := process.Start(); err != nil {
		return failure("error executing command in container: " + err.Error())
	}
	if input != nil {
		go func() {
			_, _ = io.Copy(input, streams.stdin)
			_ = input.Close()
		}()
	}
	err := process.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &meta.Status{
			Status: meta.StatusFailure, Reason: "NonZeroExitCode",
			Message: "command terminated with non-zero exit code: " + err.Error(),
			Details: &meta.StatusDetails{Causes: []meta.StatusCause{{Type: "ExitCode", Message: strconv.Itoa(exit.ExitCode())}}},
		}
	}
	if err != nil {
		return failure(err.Error())
	}
	return &meta.Status{Status: meta.StatusSuccess}
}

// openSPDY is what the API server speaks when it translates v5 over WebSocket.
func openSPDY(w http.ResponseWriter, r *http.Request, stdin, stdout, stderr bool) (*execStreams, error) {
	if _, err := httpstream.Handshake(r, w, []string{"v5.channel.k8s.io", "v4.channel.k8s.io"}); err != nil {
		return nil, err
	}
	arrived := make(chan httpstream.Stream, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(stream httpstream.Stream, replySent <-chan struct{}) error {
		go func() {
			<-replySent
			arrived <- stream
		}()
		return nil
	})
	if conn == nil {
		return nil, errors.New("no upgrade")
	}
	streams := &execStreams{stdout: io.Discard, stderr: io.Discard, close: func() { _ = conn.Close() }}
	waiting := 1
	for _, wanted := range []bool{stdin, stdout, stderr} {
		if wanted {
			waiting++
		}
	}
	for timeout := time.After(10 * time.Second); waiting > 0; {
		select {
		case stream := <-arrived:
			switch stream.Headers().Get(core.StreamType) {
			case core.StreamTypeError:
				streams.status = stream
			case core.StreamTypeStdin:
				streams.stdin = stream
			case core.StreamTypeStdout:
				streams.stdout = stream
			case core.StreamTypeStderr:
				streams.stderr = stream
			default:
				continue // resize
			}
			waiting--
		case <-timeout:
			_ = conn.Close()
			return nil, errors.New("streams did not come")
		}
	}
	return streams, nil
}

func openWebSocket(w http.ResponseWriter, r *http.Request, stdin, stdout, stderr bool) (*execStreams, error) {
	kind := func(wanted bool, kind wsstream.ChannelType) wsstream.ChannelType {
		if wanted {
			return kind
		}
		return wsstream.IgnoreChannel
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		"v4.channel.k8s.io": {Binary: true, Channels: []wsstream.ChannelType{
			kind(stdin, wsstream.ReadChannel), kind(stdout, wsstream.WriteChannel), kind(stderr, wsstream.WriteChannel),
			wsstream.WriteChannel, wsstream.ReadChannel,
		}},
	})
	_, channels, err := conn.Open(w, r)
	if err != nil {
		return nil, err
	}
	_, _ = channels[1].Write(nil) // an empty frame comes first
	streams := &execStreams{stdout: channels[1], stderr: channels[2], status: channels[3], close: func() { _ = conn.Close() }}
	if stdin {
		streams.stdin = channels[0]
	}
	return streams, nil
}

func servePortForward(w http.ResponseWriter, r *http.Request) {
	var ports []uint16
	for _, text := range append(r.URL.Query()["port"], r.URL.Query()["ports"]...) {
		for _, one := range strings.Split(text, ",") {
			port, err := strconv.ParseUint(one, 10, 16)
			if err != nil {
				http.Error(w, "bad port", http.StatusBadRequest)
				return
			}
			ports = append(ports, uint16(port))
		}
	}
	var kinds []wsstream.ChannelType
	for range ports {
		kinds = append(kinds, wsstream.ReadWriteChannel, wsstream.WriteChannel)
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{"v4.channel.k8s.io": {Binary: true, Channels: kinds}})
	_, channels, err := conn.Open(w, r)
	if err != nil {
		return
	}
	defer conn.Close()
	var all sync.WaitGroup
	for i, port := range ports {
		data, failure := channels[2*i], channels[2*i+1]
		_, _ = data.Write(binary.LittleEndian.AppendUint16(nil, port))
		_, _ = failure.Write(binary.LittleEndian.AppendUint16(nil, port))
		all.Add(1)
		go func() {
			defer all.Done()
			defer data.Close()
			defer failure.Close()
			target, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				fmt.Fprintf(failure, "error forwarding port %d: %v", port, err)
				return
			}
			defer target.Close()
			go func() {
				_, _ = io.Copy(target, data)
				_ = target.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(data, target)
		}()
	}
	all.Wait()
}
