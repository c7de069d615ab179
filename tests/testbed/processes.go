package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/component-base/version"
)

type exit struct {
	process *process
	cmd     *exec.Cmd // which of its lives
}

// process is one child: it can be killed, paused and started again.
type process struct {
	cluster, component string
	binary             string // of its Kubernetes version
	args               []string
	log                string
	cmd                *exec.Cmd
	running            bool
	ended              chan struct{} // closed when cmd has been waited for
}

func (bed *testbed) add(cluster, binary, component string, args ...string) *process {
	p := &process{cluster: cluster, component: component, binary: binary, args: append([]string{component}, args...)}
	p.log = filepath.Join(bed.dir, "logs", p.name()+".log")
	bed.processes = append(bed.processes, p)
	return p
}

func (p *process) name() string {
	if p.cluster == "" {
		return p.component
	}
	return p.cluster + "-" + p.component
}

func (p *process) pid() int {
	if p.cmd == nil || p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// start must run on the main thread; see init. The child gets a group of its
// own, so that a Ctrl-C reaches only us, and dies with us whatever happens.
func (p *process) start(exits chan<- exit) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(p.binary, p.args...)
	p.cmd.Args[0] = "kubernaut-testbed"
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := p.cmd, make(chan struct{})
	p.running, p.ended = true, ended
	go func() {
		_ = cmd.Wait()
		close(ended)
		exits <- exit{p, cmd}
	}()
	return nil
}

// reservePort binds a free port with SO_REUSEPORT and keeps it bound, without
// listening, until this process ends. The child listens on the same port with
// the same option, so that nothing can take the port before it starts or while
// it is killed.
func reservePort() (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := setReusePort(fd); err != nil {
		return 0, err
	}
	address := &syscall.SockaddrInet4{Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())}
	if err := syscall.Bind(fd, address); err != nil {
		return 0, err
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return bound.(*syscall.SockaddrInet4).Port, nil
}

func setReusePort(fd int) error {
	const soReusePort = 15
	return syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, 1)
}

const ownBinary = "/proc/self/exe"

// ownVersion is "1.36" for v1.36.3.
func ownVersion() string {
	parts := strings.SplitN(strings.TrimPrefix(version.Get().GitVersion, "v"), ".", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// binaryFor finds the testbed of another version beside the one that runs.
func binaryFor(wanted string) (string, error) {
	if wanted == ownVersion() {
		return ownBinary, nil
	}
	self := os.Args[0]
	if !strings.Contains(self, "/") {
		var err error
		if self, err = exec.LookPath(self); err != nil {
			return "", err
		}
	}
	path, err := filepath.Abs(filepath.Join(filepath.Dir(self), "kubernaut-testbed-v"+wanted))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the testbed of Kubernetes %s is not built: %w", wanted, err)
	}
	return path, nil
}

func tail(path string) string {
	data, _ := os.ReadFile(path)
	if len(data) > 4000 {
		data = data[len(data)-4000:]
	}
	return string(data)
}
