package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/version"
)

// testbed is everything that one `up` owns. All of it belongs to the main
// goroutine; the others only send on the channels.
type testbed struct {
	dir       string
	processes []*process
	clusters  []*cluster
	exits     chan exit  // a child has ended
	stages    chan stage // a cluster has come further
	out       *json.Encoder
	grace     time.Duration
	audit     bool
	compact   time.Duration

	versions []string // of cluster 1, 2, ..., and from the first again
	stream   bool

	apiserverArgs, managerArgs, schedulerArgs []string
}

type stage struct {
	cluster *cluster
	err     error
}

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

// cluster is also the JSON line that announces it.
type cluster struct {
	Name         string         `json:"cluster"`
	Context      string         `json:"context"`
	Version      string         `json:"version"`
	Server       string         `json:"server"`
	Kubeconfig   string         `json:"kubeconfig"`
	CA           string         `json:"ca"`
	AdminCert    string         `json:"admin_cert"`
	AdminKey     string         `json:"admin_key"`
	AdminToken   string         `json:"admin_token"`
	AliceToken   string         `json:"alice_token"`
	ViewerToken  string         `json:"viewer_token"`
	PKI          string         `json:"pki"`
	Logs         string         `json:"logs"`
	AuditLog     string         `json:"audit_log,omitempty"`
	Etcd         string         `json:"etcd"`
	ReadySeconds float64        `json:"ready_seconds"`
	PIDs         map[string]int `json:"pids"`

	dir         string
	binary      string
	port        int
	apiserverUp bool
}

func up(args []string) error {
	bed := &testbed{
		exits:  make(chan exit),
		stages: make(chan stage),
		out:    json.NewEncoder(os.Stdout),
	}
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	flags.StringVar(&bed.dir, "dir", "", "folder for data, certificates and logs; empty or absent (required)")
	count := flags.Int("clusters", 1, "number of clusters, named c1 to cN")
	versions := flags.String("versions", ownVersion(), "Kubernetes versions of the clusters in turn, such as 1.33,1.36")
	flags.BoolVar(&bed.stream, "stream", false, "a node "+streamNode+" whose pods can be exec'ed into and forwarded to")
	etcd := flags.String("etcd", "shared", "shared: one etcd for all clusters; each: one for every cluster")
	flags.DurationVar(&bed.compact, "compaction", 5*time.Minute, "etcd compaction interval; a short one makes 410 Gone come soon")
	flags.BoolVar(&bed.audit, "audit", false, "record every write in DIR/logs/NAME-audit.log")
	flags.DurationVar(&bed.grace, "grace", 2*time.Second, "time between SIGTERM and SIGKILL when stopping")
	timeout := flags.Duration("timeout", 3*time.Minute, "time for all clusters to become ready")
	pass := func(name string, into *[]string) {
		flags.Func(name, "one more flag for the component; may be repeated", func(value string) error {
			*into = append(*into, value)
			return nil
		})
	}
	pass("apiserver-arg", &bed.apiserverArgs)
	pass("kcm-arg", &bed.managerArgs)
	pass("scheduler-arg", &bed.schedulerArgs)
	_ = flags.Parse(args)
	bed.versions = strings.Split(*versions, ",")
	if bed.dir == "" || *count < 1 || flags.NArg() > 0 || (*etcd != "shared" && *etcd != "each") {
		flags.Usage()
		return errors.New("wrong arguments")
	}

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // the reader may be gone before we are
	defer bed.stop()
	if err := bed.start(*count, *etcd == "each"); err != nil {
		return bed.explain(err)
	}
	return bed.explain(bed.serve(signals, readLines(os.Stdin), time.After(*timeout)))
}

// start brings up etcd and every API server; controller-manager and scheduler
// follow when their API server answers, because they give up if it does not.
func (bed *testbed) start(count int, etcdEach bool) error {
	var err error
	if bed.dir, err = filepath.Abs(bed.dir); err != nil {
		return err
	}
	if entries, _ := os.ReadDir(bed.dir); len(entries) > 0 {
		return fmt.Errorf("%s is not empty", bed.dir)
	}
	if err := os.MkdirAll(filepath.Join(bed.dir, "logs"), 0o755); err != nil {
		return err
	}
	etcd := ""
	for i := 1; i <= count; i++ {
		name := fmt.Sprintf("c%d", i)
		if i == 1 || etcdEach {
			owner := ""
			if etcdEach {
				owner = name
			}
			if etcd, err = bed.startEtcd(owner); err != nil {
				return err
			}
		}
		if err := bed.startCluster(name, etcd, bed.versions[(i-1)%len(bed.versions)]); err != nil {
			return err
		}
	}
	return nil
}

func (bed *testbed) startEtcd(owner string) (string, error) {
	client, err := reservePort()
	if err != nil {
		return "", err
	}
	peer, err := reservePort()
	if err != nil {
		return "", err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", client)
	p := bed.add(owner, ownBinary, "etcd", filepath.Join(bed.dir, "etcd", owner), url, fmt.Sprintf("http://127.0.0.1:%d", peer))
	return url, p.start(bed.exits)
}

func (bed *testbed) startCluster(name, etcd, version string) error {
	binary, err := binaryFor(version)
	if err != nil {
		return err
	}
	port, err := reservePort()
	if err != nil {
		return err
	}
	dir := filepath.Join(bed.dir, name)
	pki := filepath.Join(dir, "pki")
	if err := writePKI(pki); err != nil {
		return err
	}
	c := &cluster{
		Name: name, Context: name, Version: version, binary: binary, Server: fmt.Sprintf("https://127.0.0.1:%d", port),
		Kubeconfig: filepath.Join(bed.dir, "kubeconfig"),
		CA:         filepath.Join(pki, "ca.crt"),
		AdminCert:  filepath.Join(pki, "admin.crt"), AdminKey: filepath.Join(pki, "admin.key"),
		AdminToken: newToken(), AliceToken: newToken(), ViewerToken: newToken(),
		PKI: pki, Logs: filepath.Join(bed.dir, "logs"), Etcd: etcd, PIDs: map[string]int{},
		dir: dir, port: port,
	}
	bed.clusters = append(bed.clusters, c)
	tokens := c.AdminToken + ",admin-token,admin,\"system:masters\"\n" +
		c.AliceToken + ",alice,alice\n" +
		c.ViewerToken + ",viewer,viewer\n"
	if err := os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(tokens), 0o600); err != nil {
		return err
	}
	contexts := []struct{ file, identity string }{
		{c.Kubeconfig, "admin"},
		{c.file("controller-manager.kubeconfig"), "controller-manager"},
		{c.file("scheduler.kubeconfig"), "scheduler"},
	}
	for _, k := range contexts {
		if err := addContext(k.file, name, c.Server, c.CA, c.cert(k.identity), c.key(k.identity)); err != nil {
			return err
		}
	}
	apiserverArgs, err := bed.apiserverFlags(c)
	if err != nil {
		return err
	}
	if err := bed.add(name, binary, "apiserver", apiserverArgs...).start(bed.exits); err != nil {
		return err
	}
	go func() { bed.stages <- stage{c, c.awaitAPIServer()} }()
	return nil
}

func (bed *testbed) apiserverFlags(c *cluster) ([]string, error) {
	flags := []string{
		"--etcd-servers=" + c.Etcd,
		"--etcd-prefix=/" + c.Name,
		"--etcd-compaction-interval=" + bed.compact.String(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1", // a machine without a default route has no other
		fmt.Sprintf("--secure-port=%d", c.port),
		"--permit-port-sharing", // see reservePort
		"--tls-cert-file=" + c.cert("apiserver"), "--tls-private-key-file=" + c.key("apiserver"),
		"--client-ca-file=" + c.CA,
		"--token-auth-file=" + c.file("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("pki/sa.pub"),
		"--service-account-signing-key-file=" + c.key("sa"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none",
		"--requestheader-client-ca-file=" + c.cert("front-proxy-ca"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.cert("front-proxy-client"), "--proxy-client-key-file=" + c.key("front-proxy-client"),
		"--kubelet-client-certificate=" + c.cert("kubelet-client"), "--kubelet-client-key=" + c.key("kubelet-client"),
		"--kubelet-certificate-authority=" + c.CA,
		"--kubelet-preferred-address-types=InternalIP",
		"--profiling=false",
	}
	if bed.audit {
		c.AuditLog = filepath.Join(bed.dir, "logs", c.Name+"-audit.log")
		policy := c.file("audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return nil, err
		}
		flags = append(flags, "--audit-policy-file="+policy, "--audit-log-path="+c.AuditLog)
	}
	return append(flags, bed.apiserverArgs...), nil
}

// Who wrote what, with the body that they sent: the judge that tests can
// believe when they ask whether an effect happened exactly once.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: None
  resources: [{group: coordination.k8s.io}, {group: "", resources: [events]}, {group: events.k8s.io}]
- level: Request
`

func (bed *testbed) startControllers(c *cluster) error {
	manager := append([]string{
		"--kubeconfig=" + c.file("controller-manager.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + c.key("sa"),
		"--root-ca-file=" + c.CA,
		"--cluster-signing-cert-file=" + c.CA, "--cluster-signing-key-file=" + c.key("ca"),
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--profiling=false",
	}, bed.managerArgs...)
	if err := bed.add(c.Name, c.binary, "controller-manager", manager...).start(bed.exits); err != nil {
		return err
	}
	scheduler := append([]string{
		"--kubeconfig=" + c.file("scheduler.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--profiling=false",
	}, bed.schedulerArgs...)
	if err := bed.add(c.Name, c.binary, "scheduler", scheduler...).start(bed.exits); err != nil {
		return err
	}
	go func() { bed.stages <- stage{c, c.awaitControllers(bed.stream)} }()
	return nil
}

// serve reacts until it is told to stop, or fails: before everything is ready
// the end of any child is an error, after that it is only reported.
func (bed *testbed) serve(signals <-chan os.Signal, lines <-chan string, timeout <-chan time.Time) error {
	begun := time.Now()
	waiting := len(bed.clusters)
	for {
		select {
		case <-signals:
			return nil
		case line, open := <-lines:
			if !open {
				return nil
			}
			bed.command(line)
		case e := <-bed.exits:
			p := e.process
			if !p.running || p.cmd != e.cmd {
				break // killed by a command, perhaps started again since
			}
			p.running = false
			if waiting > 0 {
				return fmt.Errorf("%s ended before the testbed was ready: %s\n%s", p.name(), p.cmd.ProcessState, tail(p.log))
			}
			bed.say(map[string]any{"exited": p.component, "cluster": p.cluster, "status": p.cmd.ProcessState.String()})
		case s := <-bed.stages:
			if s.err != nil {
				return fmt.Errorf("%s: %w", s.cluster.Name, s.err)
			}
			if !s.cluster.apiserverUp {
				s.cluster.apiserverUp = true
				if err := bed.startControllers(s.cluster); err != nil {
					return err
				}
				break
			}
			for _, p := range bed.processes {
				if p.cluster == s.cluster.Name || p.cluster == "" {
					s.cluster.PIDs[p.component] = p.cmd.Process.Pid
				}
			}
			s.cluster.ReadySeconds = time.Since(begun).Seconds()
			bed.say(s.cluster)
			if waiting--; waiting == 0 {
				timeout = nil
				bed.say(map[string]bool{"ready": true})
			}
		case <-timeout:
			return fmt.Errorf("%d of %d clusters not ready in time", waiting, len(bed.clusters))
		}
	}
}

// command carries out one line such as "kill c1 apiserver" and answers with
// one JSON line. The name of a shared etcd's cluster is "-".
func (bed *testbed) command(line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	answer := map[string]any{"command": line}
	if err := bed.act(words, answer); err != nil {
		answer["error"] = err.Error()
	}
	bed.say(answer)
}

func (bed *testbed) act(words []string, answer map[string]any) error {
	if len(words) == 6 && words[0] == "issue" {
		return bed.issue(words[1], words[2], words[3], words[4], words[5], answer)
	}
	if len(words) != 3 {
		return errors.New("want: kill|start|pause|resume CLUSTER COMPONENT, or issue CLUSTER NAME USER GROUP LIFETIME")
	}
	for _, p := range bed.processes {
		if p.component != words[2] || (p.cluster != words[1] && !(p.cluster == "" && words[1] == "-")) {
			continue
		}
		if words[0] == "start" {
			if p.running {
				return errors.New("it is running")
			}
			err := p.start(bed.exits)
			answer["pid"] = p.pid()
			return err
		}
		if !p.running {
			return errors.New("it is not running")
		}
		answer["pid"] = p.pid()
		switch words[0] {
		case "kill":
			p.signal(syscall.SIGKILL)
			<-p.ended
			p.running = false
			return nil
		case "pause":
			p.signal(syscall.SIGSTOP)
			return nil
		case "resume":
			p.signal(syscall.SIGCONT)
			return nil
		}
		return fmt.Errorf("unknown command %q", words[0])
	}
	return errors.New("no such process")
}

// issue signs a new certificate under an old or new file name: one that
// expires soon, or the successor of the API server's own ("apiserver"), which
// it reads again by itself.
func (bed *testbed) issue(cluster, name, user, group, lifetime string, answer map[string]any) error {
	life, err := time.ParseDuration(lifetime)
	if err != nil {
		return err
	}
	for _, c := range bed.clusters {
		if c.Name != cluster {
			continue
		}
		ca, err := readIdentity(c.CA, c.key("ca"))
		if err != nil {
			return err
		}
		_, err = newIdentity(request{name: name, user: user, group: group, server: name == "apiserver", life: life}, ca, c.PKI)
		answer["cert"], answer["key"] = c.cert(name), c.key(name)
		return err
	}
	return errors.New("no such cluster")
}

func (bed *testbed) say(value any) { _ = bed.out.Encode(value) }

// explain also tells the reader of standard output why it goes wrong.
func (bed *testbed) explain(err error) error {
	if err != nil {
		bed.say(map[string]string{"error": err.Error()})
	}
	return err
}

// stop ends every child: asks, waits for the grace time, kills, and joins.
func (bed *testbed) stop() {
	deadline := time.After(bed.grace)
	for _, p := range bed.processes {
		if p.running {
			p.signal(syscall.SIGTERM)
			p.signal(syscall.SIGCONT) // a paused one does not hear the first
		}
	}
	for _, p := range bed.processes {
		if !p.running {
			continue
		}
		select {
		case <-p.ended:
			p.running = false
		case <-deadline:
			for _, late := range bed.processes {
				if late.running {
					late.signal(syscall.SIGKILL)
				}
			}
			deadline = nil
			<-p.ended
		}
	}
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

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }
func (c *cluster) cert(name string) string { return filepath.Join(c.PKI, name+".crt") }
func (c *cluster) key(name string) string  { return filepath.Join(c.PKI, name+".key") }

func (c *cluster) client() (kubernetes.Interface, error) {
	return kubernetes.NewForConfig(&rest.Config{
		Host: c.Server, QPS: -1, Timeout: 5 * time.Second,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.CA, CertFile: c.AdminCert, KeyFile: c.AdminKey},
	})
}

// awaitAPIServer polls without end; serve has the timeout.
func (c *cluster) awaitAPIServer() error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return poll(func(ctx context.Context) bool {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	})
}

// awaitControllers gives the viewer its role and waits until pods can be made,
// which needs the service account that the controller-manager makes.
func (c *cluster) awaitControllers(stream bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: "testbed-viewer"},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbac.Subject{{APIGroup: rbac.GroupName, Kind: rbac.UserKind, Name: "viewer"}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(context.Background(), binding, meta.CreateOptions{}); err != nil {
		return err
	}
	if stream {
		if err := c.startStreaming(client); err != nil {
			return err
		}
	}
	return poll(func(ctx context.Context) bool {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
		return err == nil
	})
}

func poll(done func(context.Context) bool) error {
	return wait.PollUntilContextCancel(context.Background(), 50*time.Millisecond, true,
		func(ctx context.Context) (bool, error) { return done(ctx), nil })
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
	const soReusePort = 15
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
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

func newToken() string {
	bytes := make([]byte, 16)
	_, _ = rand.Read(bytes)
	return hex.EncodeToString(bytes)
}

func readLines(file *os.File) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(file); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}

func tail(path string) string {
	data, _ := os.ReadFile(path)
	if len(data) > 4000 {
		data = data[len(data)-4000:]
	}
	return string(data)
}
