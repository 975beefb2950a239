package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"parley/internal/errs"
	"parley/internal/mail"
)

// Config is everything `parley serve` is told. The doc tags are the reference:
// `parley config` prints them as a commented file with the defaults.
type Config struct {
	Bank       BankConfig       `toml:"bank" doc:"Who calls."`
	Database   DatabaseConfig   `toml:"database" doc:"Where everything is kept."`
	Keys       KeysConfig       `toml:"keys" doc:"Encryption and signing keys. Back this directory up apart from the database: without it no personal data can be read."`
	Recordings RecordingsConfig `toml:"recordings" doc:"Call recordings, encrypted, named by their hash."`
	HTTP       HTTPConfig       `toml:"http" doc:"Staff console, customer pages and the ledger's tiles."`
	Access     AccessConfig     `toml:"access" doc:"How staff sign in."`
	Trunk      TrunkConfig      `toml:"trunk" doc:"The SIP trunk that calls leave by."`
	Mail       MailConfig       `toml:"mail" doc:"The mail server that e-mail to customers leaves by."`
	Policy     PolicyConfig     `toml:"policy" doc:"The rules."`
	Prompts    PromptsConfig    `toml:"prompts" doc:"What customers hear."`
	Gate       GateConfig       `toml:"gate" doc:"Permits."`
	API        APIConfig        `toml:"api" doc:"The interface for other systems of the bank: /api/docs."`
	Webhooks   WebhooksConfig   `toml:"webhooks" doc:"Events out, to other systems of the bank."`
	Telemetry  TelemetryConfig  `toml:"telemetry" doc:"What operators see: metrics, traces, health. docs/metrics.md."`
	Log        LogConfig        `toml:"log" doc:"The program's own log; it never holds personal data."`
}

// BankConfig names the bank on screens, in letters and to customers.
type BankConfig struct {
	NameZh  string `toml:"name_zh" default:"守约银行" doc:"The bank's name in Chinese."`
	NameEn  string `toml:"name_en" default:"Parley Bank" doc:"The bank's name in English."`
	Hotline string `toml:"hotline" default:"95500" doc:"The number customers may call to complain; shown on every answer (投诉管理办法 art. 8)."`
	Zone    string `toml:"zone" default:"Asia/Shanghai" doc:"The bank's time zone (IANA name): local days, office hours, deadlines."`

	Identifier string `toml:"identifier" default:"" doc:"Unified social credit code; consent records (ISO/IEC TS 27560) name it."`
	Office     string `toml:"office" default:"个人信息保护负责人" doc:"Office that answers for personal data; consent records name it."`
	Address    string `toml:"address" default:"" doc:"Postal address; consent records name it."`
	Country    string `toml:"jurisdiction" default:"CN" doc:"Jurisdiction (ISO 3166-1)."`
	Storage    string `toml:"storage" default:"本行数据中心，按授权期限及法定保存期限保存，期满删除" doc:"Where and how long consent data is kept; consent records say it."`
	Withdraw   string `toml:"withdraw" default:"通话中按 9、拨打客服热线、在客户页面上操作" doc:"How consent is withdrawn; consent records say it."`
}

// DatabaseConfig chooses the engine.
type DatabaseConfig struct {
	URL      string `toml:"url" default:"parley-data/parley.db" doc:"An SQLite file, or a PostgreSQL address such as postgres://parley@db.example/parley."`
	MaxConns int    `toml:"max_conns" default:"8" doc:"Connections to PostgreSQL, or readers of the SQLite file."`
}

// KeysConfig is the key directory.
type KeysConfig struct {
	Dir    string `toml:"dir" default:"parley-data/keys" doc:"Key directory, readable by Parley's user only."`
	Create bool   `toml:"create" default:"true" doc:"Make missing keys at the first start. Turn off once they exist, so that a lost directory is an error and not a new key."`
	Origin string `toml:"ledger_origin" default:"parley.example/ledger" doc:"The ledger's name in its checkpoints (C2SP origin). Never change it once entries are sealed."`
}

// RecordingsConfig is the blob directory.
type RecordingsConfig struct {
	Dir string `toml:"dir" default:"parley-data/recordings" doc:"Directory for recordings."`
}

// HTTPConfig is the web listener.
type HTTPConfig struct {
	Addr      string   `toml:"addr" default:"127.0.0.1:8080" doc:"Address to listen on, host:port."`
	PublicURL string   `toml:"public_url" default:"" doc:"Address customers and staff reach it by, https://…; empty = http://ADDR. Links in answers use it; cookies are Secure when it is https. Passkeys are bound to its host name."`
	Cert      string   `toml:"tls_cert" default:"" doc:"PEM file with the certificate and its chain; with tls_key Parley serves TLS 1.2 and 1.3 itself. Empty = a reverse proxy does."`
	Key       string   `toml:"tls_key" default:"" doc:"PEM file with the certificate's private key."`
	Proxies   []string `toml:"proxies" default:"" doc:"The bank's own reverse proxies (addresses or networks), whose X-Forwarded-For is believed; limits count by the address found there."`
}

// TrunkConfig is the SIP trunk.
type TrunkConfig struct {
	Address   string   `toml:"address" default:"" doc:"The trunk, host:port. Empty = no calls can be placed; everything else works."`
	Transport string   `toml:"transport" default:"udp" doc:"udp or tcp."`
	User      string   `toml:"user" default:"" doc:"Digest user name, if the trunk asks for one."`
	Password  string   `toml:"password" default:"" doc:"Digest password. Prefer password_file."`
	Secret    string   `toml:"password_file" default:"" doc:"File that holds the digest password."`
	Domain    string   `toml:"domain" default:"" doc:"SIP domain in From and To; empty = the trunk's host."`
	Local     string   `toml:"local" default:"0.0.0.0:0" doc:"Local SIP address, ip:port; port 0 = any."`
	MediaIP   string   `toml:"media_ip" default:"" doc:"IP address for RTP, as the trunk sees us; empty = the one that routes to the trunk."`
	MediaFrom int      `toml:"media_port_from" default:"20000" doc:"First RTP port."`
	MediaTo   int      `toml:"media_port_to" default:"29998" doc:"Last RTP port."`
	Codecs    []string `toml:"codecs" default:"pcma,pcmu" doc:"G.711 codecs in order of preference."`
	MaxCalls  int      `toml:"max_calls" default:"500" doc:"Most calls at once, over all campaigns."`
}

// MailConfig is the SMTP server.
type MailConfig struct {
	Host     string `toml:"host" default:"" doc:"The SMTP server. Empty = no e-mail can be sent; everything else works."`
	Port     int    `toml:"port" default:"587" doc:"Its port: 587 for starttls, 465 for tls."`
	Security string `toml:"security" default:"starttls" doc:"starttls, tls, or none (only for a server on this machine; never with a password)."`
	User     string `toml:"user" default:"" doc:"User name, if the server asks for one."`
	Password string `toml:"password" default:"" doc:"Password. Prefer password_file."`
	Secret   string `toml:"password_file" default:"" doc:"File that holds the password."`
	From     string `toml:"from" default:"" doc:"Address the bank writes from."`
}

// PolicyConfig chooses the packs.
type PolicyConfig struct {
	Packs string   `toml:"packs" default:"" doc:"Directory of rule packs; empty = the packs built in."`
	Use   []string `toml:"use" default:"" doc:"Packs that speak together, by file name without .yaml (us, us-fl, uk, in, eu …); empty = those of the mainland, or all of the directory."`

	Unapproved bool `toml:"unapproved" default:"false" doc:"Development only: judge by the packs named here although nobody has approved them. Otherwise the edition approved in the rulebook judges, and a directory that was not approved is refused."`
}

// PromptsConfig is the prompt directory.
type PromptsConfig struct {
	Dir     string `toml:"dir" default:"" doc:"Directory with zh/KEY.wav and en/KEY.wav; empty = the demo's prompts."`
	Command string `toml:"render_command" default:"espeak-ng -v {voice} -s 150 -w {out} {text}" doc:"How 'parley prompts render' makes speech from text."`
}

// GateConfig tunes permits.
type GateConfig struct {
	PermitTTL Duration `toml:"permit_ttl" default:"2m" doc:"How long a permit may wait for its call before it expires and its budget is free again."`
}

// APIConfig tunes the interface for other systems.
type APIConfig struct {
	Rate        int      `toml:"rate" default:"100" doc:"Requests per second of a key that sets no rate of its own."`
	MaxBody     int      `toml:"max_body_kib" default:"1024" doc:"Largest request, in KiB."`
	SettleAfter Duration `toml:"settle_within" default:"4h" doc:"How long another system may leave open how its contact ended; then it is unknown and counts in full until a person finds out."`
}

// TelemetryConfig tunes what operators see.
type TelemetryConfig struct {
	Addr  string `toml:"addr" default:"127.0.0.1:9464" doc:"Address of /metrics, /healthz and /readyz, host:port; empty = none. It shows no personal data, but keep it inside. /healthz and /readyz are on http.addr too."`
	OTLP  string `toml:"otlp_url" default:"" doc:"OpenTelemetry collector (OTLP over HTTP) that traces are sent to, such as http://127.0.0.1:4318/v1/traces; empty = no traces."`
	Share int    `toml:"trace_percent" default:"100" doc:"Contacts of which a trace is kept, in percent."`
}

// WebhooksConfig tunes events out.
type WebhooksConfig struct {
	Private      []string `toml:"private_networks" default:"" doc:"Networks of the bank's own that subscribers may be in, such as 10.20.0.0/16; no other private address is ever called."`
	AllowHTTP    bool     `toml:"allow_http" default:"false" doc:"Accept subscribers without TLS; only for systems on the bank's own network."`
	DisableAfter Duration `toml:"disable_after" default:"120h" doc:"How long a subscriber may fail before it is disabled; its events wait."`
}

// Networks reads the private networks.
func (w WebhooksConfig) Networks() (out []netip.Prefix, err error) {
	for _, s := range w.Private {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// LogConfig tunes the log.
type LogConfig struct {
	Level  string `toml:"level" default:"info" doc:"debug, info, warn or error."`
	Format string `toml:"format" default:"text" doc:"text or json."`
}

// Duration is a length of time written as in Go: "90s", "2m".
type Duration struct{ time.Duration }

// UnmarshalText reads "90s", "2m" and the like.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	d.Duration = v
	return err
}

// DefaultConfig is what an empty file means.
func DefaultConfig() Config {
	var c Config
	eachKey(reflect.ValueOf(&c).Elem(), func(section, key string, f reflect.StructField, v reflect.Value) {
		if err := setDefault(v, f.Tag.Get("default")); err != nil {
			panic(fmt.Sprintf("default of %s.%s: %v", section, key, err)) // a typo in this file; a test walks it
		}
	})
	return c
}

func setDefault(v reflect.Value, s string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = s
	case *bool:
		*p = s == "true"
	case *int:
		_, err := fmt.Sscan(s, p)
		return err
	case *[]string:
		if *p = []string{}; s != "" {
			*p = strings.Split(s, ",")
		}
	case *Duration:
		return p.UnmarshalText([]byte(s))
	default:
		return fmt.Errorf("no default for %T", p)
	}
	return nil
}

func eachKey(c reflect.Value, fn func(section, key string, f reflect.StructField, v reflect.Value)) {
	for i := range c.NumField() {
		section := c.Type().Field(i)
		for j := range c.Field(i).NumField() {
			f := section.Type.Field(j)
			fn(section.Tag.Get("toml"), f.Tag.Get("toml"), f, c.Field(i).Field(j))
		}
	}
}

// LoadConfig reads a TOML file over the defaults. An unknown key or a value of
// the wrong type is refused with its line. Relative paths are relative to the
// file's directory.
func LoadConfig(path string) (Config, error) {
	c := DefaultConfig()
	raw, err := os.ReadFile(path)
	if err != nil {
		return c, errs.New(errs.NotFound, "config_unreadable",
			"读不到配置文件 "+path+"。可用 parley config 生成一份带说明的样例。",
			"The configuration file "+path+" cannot be read. `parley config` prints a documented one to start from.").With(err)
	}
	dec := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, configError(path, err)
	}
	c.resolve(filepath.Dir(path))
	return c, c.check(path)
}

func configError(path string, err error) error {
	detail := err.Error()
	var strict *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case errors.As(err, &strict):
		var keys []string
		for _, e := range strict.Errors {
			row, _ := e.Position()
			keys = append(keys, fmt.Sprintf("line %d: unknown key %s", row, strings.Join(e.Key(), ".")))
		}
		detail = strings.Join(keys, "; ")
	case errors.As(err, &bad):
		row, col := bad.Position()
		detail = fmt.Sprintf("line %d, column %d: %s", row, col, bad.Error())
	}
	return errs.New(errs.Invalid, "config_invalid",
		"配置文件 "+path+" 有误："+detail+"。parley config 列出全部可用的键。",
		"The configuration file "+path+" is not right: "+detail+". `parley config` lists every key there is.").With(err)
}

func (c *Config) resolve(dir string) {
	for _, p := range []*string{&c.Keys.Dir, &c.Recordings.Dir, &c.Policy.Packs, &c.Prompts.Dir, &c.Trunk.Secret, &c.Mail.Secret, &c.Access.Secret, &c.HTTP.Cert, &c.HTTP.Key} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if u := strings.TrimPrefix(c.Database.URL, "sqlite:"); !strings.Contains(u, "://") && !filepath.IsAbs(u) {
		c.Database.URL = filepath.Join(dir, u)
	}
}

func (c *Config) check(path string) error {
	bad := func(key, mendZh, mend string) error {
		return errs.New(errs.Invalid, "config_invalid", "配置文件 "+path+" 的 "+key+"："+mendZh,
			"In the configuration file "+path+", "+key+": "+mend)
	}
	if _, err := time.LoadLocation(c.Bank.Zone); err != nil {
		return bad("bank.zone", "请用 IANA 时区名，如 Asia/Shanghai。", "use an IANA time zone such as Asia/Shanghai.")
	}
	if c.Bank.NameZh == "" || c.Bank.NameEn == "" || c.Bank.Hotline == "" {
		return bad("bank.name_zh/name_en/hotline", "不能为空；写给客户的每封信都要用到。", "must not be empty; every letter to a customer names them.")
	}
	if c.Trunk.Transport != "udp" && c.Trunk.Transport != "tcp" {
		return bad("trunk.transport", "只能是 udp 或 tcp。", "use udp or tcp.")
	}
	if c.Trunk.MediaFrom <= 0 || c.Trunk.MediaTo > 65535 || c.Trunk.MediaTo-c.Trunk.MediaFrom < 2*c.Trunk.MaxCalls {
		return bad("trunk.media_port_from/to", "端口范围须容得下 max_calls 路通话（每路两个端口）。",
			"the range must hold max_calls calls, two ports each.")
	}
	if c.Gate.PermitTTL.Duration < time.Second {
		return bad("gate.permit_ttl", "至少 1s。", "use at least 1s.")
	}
	if c.Telemetry.Share < 0 || c.Telemetry.Share > 100 {
		return bad("telemetry.trace_percent", "应在 0 到 100 之间。", "use 0 to 100.")
	}
	if _, err := c.Webhooks.Networks(); err != nil {
		return bad("webhooks.private_networks", "请写成 10.20.0.0/16 的形式。", "write networks as 10.20.0.0/16.")
	}
	if c.API.Rate < 1 || c.API.MaxBody < 1 {
		return bad("api.rate/max_body_kib", "至少 1。", "use at least 1.")
	}
	for _, f := range []struct {
		key, path string
		into      *string
	}{{"trunk.password_file", c.Trunk.Secret, &c.Trunk.Password}, {"mail.password_file", c.Mail.Secret, &c.Mail.Password}} {
		if f.path == "" {
			continue
		}
		b, err := os.ReadFile(f.path)
		if err != nil {
			return bad(f.key, "读不到该文件。", "the file cannot be read.")
		}
		*f.into = strings.TrimSpace(string(b))
	}
	if c.Mail.Host != "" {
		if _, err := c.mailer(); err != nil {
			return bad("mail", errs.Public(err).Zh, errs.Public(err).En)
		}
	}
	return nil
}

// mailer makes what hands e-mail to the configured server; nil when there is none.
func (c *Config) mailer() (*mail.Sender, error) {
	m := c.Mail
	if m.Host == "" {
		return nil, nil
	}
	return mail.New(mail.Config{Host: m.Host, Port: m.Port, Security: mail.Security(m.Security), User: m.User, Password: m.Password,
		From: m.From, Name: c.Bank.NameZh})
}

// WriteConfig prints a documented configuration with every key at its default.
func WriteConfig(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Parley configuration. Every key is shown with its default; unknown keys are refused.\n")
	b.WriteString("# Relative paths are relative to this file.\n")
	c := DefaultConfig()
	last := ""
	sections := map[string]string{}
	for f := range reflect.TypeFor[Config]().Fields() {
		sections[f.Tag.Get("toml")] = f.Tag.Get("doc")
	}
	eachKey(reflect.ValueOf(&c).Elem(), func(section, key string, f reflect.StructField, v reflect.Value) {
		if section != last {
			fmt.Fprintf(&b, "\n# %s\n[%s]\n", sections[section], section)
			last = section
		}
		fmt.Fprintf(&b, "# %s\n%s = %s\n", f.Tag.Get("doc"), key, tomlValue(v.Interface()))
	})
	_, err := io.WriteString(w, b.String())
	return err
}

func tomlValue(v any) string {
	switch v := v.(type) {
	case []string:
		if len(v) == 0 {
			return "[]"
		}
		return `["` + strings.Join(v, `", "`) + `"]`
	case Duration:
		return fmt.Sprintf("%q", v.String())
	case string:
		return fmt.Sprintf("%q", v)
	default:
		return fmt.Sprint(v)
	}
}

// Logger makes the log the configuration asks for.
func (c *Config) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, errs.New(errs.Invalid, "config_invalid", "log.level 只能是 debug、info、warn 或 error。",
			"log.level must be debug, info, warn or error.").With(err)
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
