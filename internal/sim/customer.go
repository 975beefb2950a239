package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"parley/internal/contact"
)

// Customer is a fictitious person. The identity number cannot belong to
// anybody, the phone number is in the range +999 that no network routes, and
// the mail address is under a name that never resolves (RFC 2606).
type Customer struct {
	Ref      string // the bank's customer number
	Name     string
	IDNumber string // 18 characters with a right check digit; region 999999 does not exist (GB/T 2260)
	Phone    string // +99900xxxxxxx, unique within one world
	Email    string
	Lang     string // zh or en
	Zone     string // IANA
	Region   string // province, by its code (ISO 3166-2)
	Card     bool   // a bank card is due for renewal: the service script's list
	Overdue  bool   // a payment is overdue: the reminder's list
	Savings  bool   // a deposit would be offered: the marketing list
	Kind     Kind
	Terms    []Terms
	Stops    []Refused
}

// Kind is what a customer has agreed to, in one word for lists and screens.
type Kind string

// The kinds of customer. Contract grounds for service are common to all, and for
// collection to those with a loan.
const (
	Welcomes    Kind = "welcomes"     // marketing by consent, no terms of its own
	Capped      Kind = "capped"       // marketing at most twice in 30 days
	Evenings    Kind = "evenings"     // marketing only from 18:00 to 20:00
	Expired     Kind = "expired"      // marketing consent that ran out
	Withdrawn   Kind = "withdrawn"    // marketing consent that was taken back
	NeverAsked  Kind = "never_asked"  // no marketing consent at all
	LettersOnly Kind = "letters_only" // marketing by letter and e-mail, not by phone
	DoNotCall   Kind = "do_not_call"  // on the bank's do-not-contact list
)

// Kinds lists every kind of customer.
func Kinds() []Kind {
	return []Kind{Welcomes, Capped, Evenings, Expired, Withdrawn, NeverAsked, LettersOnly, DoNotCall}
}

// Terms is a grant with its times relative to now.
type Terms struct {
	contact.Grant               // without ID, From and Until
	Since         time.Duration // given this long ago
	Lasts         time.Duration // for this long since then; 0 = until withdrawn
}

// At gives the grant as it stands at now; the app adds the ID.
func (t Terms) At(now time.Time) contact.Grant {
	g := t.Grant
	g.From = now.Add(-t.Since).UnixMicro()
	if t.Lasts > 0 {
		g.Until = now.Add(t.Lasts - t.Since).UnixMicro()
	}
	return g
}

// Refused is a stop with its time relative to now.
type Refused struct {
	contact.Stop               // without ID, GrantID and At
	Since        time.Duration // said this long ago
}

// At gives the stop as it stands at now; the app adds the ID.
func (r Refused) At(now time.Time) contact.Stop {
	s := r.Stop
	s.At = now.Add(-r.Since).UnixMicro()
	return s
}

const day = 24 * time.Hour

// Customers makes n fictitious people, the same for the same seed. All kinds
// occur. n is at most ten million, the size of the reserved number range.
func Customers(seed uint64, n int) []Customer {
	n = min(n, numbers)
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	offset := r.IntN(numbers)
	out := make([]Customer, n)
	for i := range out {
		out[i] = customer(r, i, (offset+i*stride)%numbers)
	}
	return out
}

const (
	numbers = 10_000_000
	stride  = 6_180_339 // has no factor in common with numbers: every number once
)

func customer(r *rand.Rand, i, number int) Customer {
	kinds := [...]Kind{Welcomes, Welcomes, Welcomes, Capped, Capped, Evenings, Expired, Withdrawn, NeverAsked, LettersOnly, DoNotCall}
	place := places()[r.IntN(len(places()))]
	c := Customer{
		Ref:      fmt.Sprintf("PB%08d", i+1),
		Name:     name(r),
		IDNumber: identity(r, i),
		Phone:    fmt.Sprintf("+99900%07d", number),
		Email:    fmt.Sprintf("pb%08d@customer.invalid", i+1),
		Lang:     "zh", Zone: place.zone, Region: place.region,
		Kind:    kinds[r.IntN(len(kinds))],
		Card:    r.IntN(3) == 0,
		Overdue: r.IntN(6) == 0,
		Savings: r.IntN(5) > 0,
	}
	if r.IntN(20) == 0 {
		c.Lang = "en"
	}
	c.Terms = append(c.Terms, Terms{Since: 3 * 365 * day, Grant: contact.Grant{
		Ground: contact.Contract, Purposes: contact.PurposeSet(contact.Service, contact.FraudAlert), How: "branch"}})
	if c.Overdue || r.IntN(4) == 0 { // has a loan
		c.Terms = append(c.Terms, Terms{Since: 400 * day, Grant: contact.Grant{
			Ground: contact.Contract, Purposes: contact.PurposeSet(contact.Collection), How: "loan contract"}})
	}
	c.marketing(r)
	return c
}

// marketing adds what the customer's kind says about offers.
func (c *Customer) marketing(r *rand.Rand) {
	offers := contact.PurposeSet(contact.Marketing)
	since := time.Duration(30+r.IntN(200)) * day
	yes := Terms{Since: since, Grant: contact.Grant{Ground: contact.Consent, Purposes: offers,
		How: [...]string{"branch", "app", "phone", "paper"}[r.IntN(4)]}}
	switch c.Kind {
	case Welcomes:
	case Capped:
		yes.Max, yes.Days = 2, 30
	case Evenings:
		yes.Hours = []contact.Hours{{From: 18 * 60, To: 20 * 60}}
	case Expired:
		yes.Lasts = since - 10*day
	case Withdrawn:
		c.Stops = append(c.Stops, Refused{Since: since / 2,
			Stop: contact.Stop{Kind: contact.Withdrawal, Purposes: offers, Source: "portal"}})
	case LettersOnly:
		yes.Channels = contact.ChannelSet(contact.Letter, contact.Email)
	case DoNotCall:
		c.Stops = append(c.Stops, Refused{Since: since / 3,
			Stop: contact.Stop{Kind: contact.DoNotContact, Channels: contact.ChannelSet(contact.Voice, contact.SMS), Source: "staff"}})
	case NeverAsked:
		return
	}
	c.Terms = append(c.Terms, yes)
}

type place struct{ region, zone string }

func places() []place {
	const cn = "Asia/Shanghai"
	return []place{{"CN-BJ", cn}, {"CN-SH", cn}, {"CN-GD", cn}, {"CN-SC", cn}, {"CN-ZJ", cn}, {"CN-HB", cn},
		{"CN-SN", cn}, {"CN-LN", cn}, {"CN-YN", cn}, {"CN-XJ", "Asia/Urumqi"}}
}

func name(r *rand.Rand) string {
	pick := func(s string) string { f := strings.Fields(s); return f[r.IntN(len(f))] }
	n := pick("王 李 张 刘 陈 杨 黄 赵 吴 周 徐 孙 马 朱 胡 林 郭 何 高 罗 欧阳 司马 诸葛") +
		pick("安 博 晨 丹 恩 芳 光 浩 嘉 静 凯 兰 明 宁 平 琪 瑞 思 婷 伟 欣 雅 泽 志")
	if r.IntN(4) > 0 {
		n += pick("民 华 宇 杰 燕 峰 涵 琳 文 雪 阳 颖 远 云 之 子")
	}
	return n
}

// identity makes an 18-character number of the form of GB 11643 with a right
// check character, for a region that is assigned to nobody.
func identity(r *rand.Rand, i int) string {
	born := time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(55*365))
	id := "999999" + born.Format("20060102") + fmt.Sprintf("%03d", i%1000)
	sum := 0
	for k, w := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += w * int(id[k]-'0')
	}
	return id + string("10X98765432"[sum%11])
}
