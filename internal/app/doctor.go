package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"parley/internal/campaign"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/party"
	"parley/internal/voice"
)

// Finding is what the doctor saw of one thing, and what to mend.
type Finding struct {
	What string
	OK   bool
	Zh   string
	En   string
}

func well(what, zh, en string) Finding { return Finding{What: what, OK: true, Zh: zh, En: en} }

func ill(what, zh, en string, err error) Finding {
	if err != nil {
		zh, en = zh+"（"+err.Error()+"）", en+" ("+err.Error()+")"
	}
	return Finding{What: what, Zh: zh, En: en}
}

// Doctor checks what Parley needs, starting nothing and changing nothing.
func Doctor(ctx context.Context, c Config, log *slog.Logger) []Finding {
	out := []Finding{checkPacks(&c), checkPrompts(&c), checkKeys(&c)}
	out = append(out, checkDatabase(ctx, c, log)...)
	return append(out, checkDisk(&c), checkTrunk(ctx, &c, log))
}

func checkPacks(c *Config) Finding {
	set, err := c.PolicySet()
	if err != nil {
		return ill("packs", "规则包有误；请按提示改正，并用 parley policy test 复查。", "The rule packs are not right; mend them and run `parley policy test`.", err)
	}
	return well("packs", fmt.Sprintf("%d 条规则，%.12s", len(set.Rules()), set.Hash()), fmt.Sprintf("%d rules, %.12s", len(set.Rules()), set.Hash()))
}

func checkPrompts(c *Config) Finding {
	set, err := c.PromptSet()
	if err != nil {
		return ill("prompts", "提示音目录读不了；检查 prompts.dir，或用 parley prompts render 生成。", "The prompt directory cannot be read; check prompts.dir or make it with `parley prompts render`.", err)
	}
	if missing := set.Missing(set.Keys()); len(missing) > 0 {
		list := strings.Join(missing, ", ")
		return ill("prompts", "缺少提示音 "+list+"；用 parley prompts render 补齐。", "Prompts are missing: "+list+"; make them with `parley prompts render`.", nil)
	}
	if _, err := campaign.DemoScripts(set.Has); err != nil && c.Prompts.Dir == "" {
		return ill("prompts", "自带话术与提示音不配套。", "The scripts that ship do not match the prompts.", err)
	}
	return well("prompts", fmt.Sprintf("%d 条", len(set.Keys())), fmt.Sprintf("%d prompts", len(set.Keys())))
}

func checkKeys(c *Config) Finding {
	_, err := party.OpenKeyring(c.Keys.Dir, false)
	if err == nil {
		var key ledger.Key
		if key, err = ledger.LoadKey(c.Keys.Dir, c.Keys.Origin, false); err == nil {
			return well("keys", "账本公钥 "+key.Public(), "ledger key "+key.Public())
		}
	}
	if _, statErr := os.Stat(c.Keys.Dir); os.IsNotExist(statErr) && c.Keys.Create {
		return well("keys", "尚未生成，首次启动时生成；生成后请单独备份 "+c.Keys.Dir, "not made yet; they will be at the first start. Back "+c.Keys.Dir+" up apart from the database then")
	}
	return ill("keys", "密钥目录 "+c.Keys.Dir+" 不完整：请从备份恢复。", "The key directory "+c.Keys.Dir+" is not whole: restore it from the backup.", err)
}

func checkDatabase(ctx context.Context, c Config, log *slog.Logger) []Finding {
	if path := strings.TrimPrefix(c.Database.URL, "sqlite:"); !strings.Contains(path, "://") {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return []Finding{well("database", "尚不存在，首次启动时建立："+path, "does not exist yet; it will be made at the first start: "+path)}
		}
	}
	d, err := db.Open(ctx, c.Database.URL, db.Options{Log: log})
	if err != nil {
		return []Finding{ill("database", "连不上数据库；检查 database.url 与数据库服务。", "The database cannot be reached; check database.url and the server.", err)}
	}
	defer d.Close()
	out := []Finding{}
	switch n, err := d.Pending(ctx); {
	case err != nil:
		out = append(out, ill("database", "读不到数据库结构。", "The schema cannot be read.", err))
	case n > 0:
		out = append(out, ill("database", fmt.Sprintf("有 %d 项迁移未执行；备份后运行 parley migrate。", n), fmt.Sprintf("%d migrations are pending; make a backup and run `parley migrate`.", n), nil))
	default:
		out = append(out, well("database", d.Dialect().Name()+"，结构最新", d.Dialect().Name()+", schema up to date"))
	}
	d.Now()
	if behind := d.ClockBehind(); behind > 2*time.Second {
		return append(out, ill("clock", fmt.Sprintf("本机时钟比已记录的最后时刻慢 %s；请校时（NTP）。在追上之前时间不会倒退。", behind.Round(time.Second)),
			fmt.Sprintf("This machine's clock is %s behind the last instant recorded; set it (NTP). Parley's time does not go back meanwhile.", behind.Round(time.Second)), nil))
	}
	now := time.Now()
	return append(out, well("clock", now.Format(time.RFC3339), now.Format(time.RFC3339)))
}

// lowDisk is when recordings are at risk: 500 calls at 16 kB/s fill it in two minutes.
const lowDisk = 1 << 30

func checkDisk(c *Config) Finding {
	dir := c.Recordings.Dir
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return ill("disk", "读不到录音目录的剩余空间。", "The free space of the recordings directory cannot be read.", err)
	}
	free := float64(st.Bavail) * float64(st.Bsize)
	text := fmt.Sprintf("%.1f GB", free/1e9)
	if free < lowDisk {
		return ill("disk", "录音磁盘只剩 "+text+"；请清理或扩容，磁盘满时通话会被挂断。", "Only "+text+" are left for recordings; free or add space. Calls are ended when the disk is full.", nil)
	}
	return well("disk", "剩余 "+text, text+" free")
}

func checkTrunk(ctx context.Context, c *Config, log *slog.Logger) Finding {
	if c.Trunk.Address == "" {
		return ill("trunk", "没有配置中继（trunk.address），不能拨打。", "No trunk is configured (trunk.address): no calls can be placed.", nil)
	}
	if _, _, err := net.SplitHostPort(c.Trunk.Address); err != nil {
		return ill("trunk", "trunk.address 应写作 主机:端口。", "trunk.address must be host:port.", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	t := c.Trunk
	e, err := voice.Listen(ctx, voice.Config{Local: t.Local, MediaIP: t.MediaIP, MediaPorts: [2]int{t.MediaFrom, t.MediaTo},
		Transport: t.Transport, Proxy: t.Address, User: t.User, Password: t.Password, Domain: t.Domain, Codecs: t.Codecs, Log: log})
	if err != nil {
		return ill("trunk", "本机 SIP 端口打不开；检查 trunk.local。", "The local SIP port cannot be opened; check trunk.local.", err)
	}
	defer e.Close()
	start := time.Now()
	err = e.Ping(ctx)
	took := time.Since(start)
	if err != nil {
		return ill("trunk", "中继 "+t.Address+" 没有应答 OPTIONS；检查地址、传输方式和防火墙。", "The trunk "+t.Address+" does not answer OPTIONS; check address, transport and firewall.", err)
	}
	return well("trunk", t.Address+"，"+took.Round(time.Microsecond).String(), t.Address+" answered in "+took.Round(time.Microsecond).String())
}
