package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"parley/internal/contact"
)

// Reason is what was compared with what, as data; Text puts it in words.
type Reason struct {
	Code  string         `json:"code,omitempty"`
	What  string         `json:"what,omitempty"` // a grant, stop, unit, disclosure, relation … by Code
	Have  int            `json:"have,omitempty"` // what was counted
	Max   int            `json:"max,omitempty"`  // what is permitted
	Days  int            `json:"days,omitempty"` // window
	Hours int            `json:"hours,omitempty"`
	At    contact.Micros `json:"at,omitempty"` // the instant judged
	Since contact.Micros `json:"since,omitempty"`
	Until contact.Micros `json:"until,omitempty"`
	From  int            `json:"from,omitempty"` // hours, in minutes of the local day
	To    int            `json:"to,omitempty"`
	Zone  string         `json:"zone,omitempty"`
	Words *Words         `json:"words,omitempty"` // what a pack says itself
}

// sentences holds the words of each code. Fields in braces are filled in.
var sentences = map[string]Words{
	"intent":                 {"联系意图不完整：缺少或无法识别 {what}", "the intent is incomplete: {what} is missing or not known"},
	"zone":                   {"客户时区 {what} 无法识别", "the person's time zone {what} is not known"},
	"pack":                   {"规则包 {what} 在此时没有有效版本", "no version of rule pack {what} is valid at this time"},
	"error":                  {"规则条件出错，按拒绝处理：{what}", "the rule's condition failed, so it denies: {what}"},
	"obliges":                {"只附加义务", "adds obligations only"},
	"no_stop":                {"没有拒绝、撤回或禁止联系的记录", "no refusal, withdrawal or do-not-contact on record"},
	"stop:withdrawal":        {"客户已于 {since} 撤回同意{until}", "the customer withdrew on {since}{until}"},
	"stop:refusal":           {"客户已于 {since} 拒绝{until}", "the customer refused on {since}{until}"},
	"stop:do_not_contact":    {"自 {since} 起在禁止联系名单上{until}", "on the do-not-contact list since {since}{until}"},
	"stop:hold":              {"自 {since} 起暂停联系{until}", "contact is on hold since {since}{until}"},
	"no_consent":             {"没有有效的同意或其他合法依据", "no valid consent or other lawful ground"},
	"expired":                {"同意已于 {end} 到期", "the consent ended on {end}"},
	"taken_back":             {"同意已于 {since} 被撤回", "the consent was taken back on {since}"},
	"consent_from":           {"同意自 {since} 起生效", "the consent is valid from {since}"},
	"ground:consent":         {"有自 {since} 起的同意", "consent since {since}"},
	"ground:request":         {"客户于 {since} 要求联系", "the customer asked for it on {since}"},
	"ground:contract":        {"为履行自 {since} 起的合同所必需", "needed to perform a contract since {since}"},
	"ground:statute":         {"自 {since} 起有法定职责", "a duty by law since {since}"},
	"implied:contract":       {"为履行与客户的合同所必需，无须另行同意", "needed to perform the customer's contract; no consent is needed"},
	"implied:statute":        {"为履行法定职责所必需，无须另行同意", "a duty by law; no consent is needed"},
	"terms":                  {"符合客户约定的条件", "within the customer's own terms"},
	"terms_hours":            {"客户约定的时段为 {from}–{to}", "the customer agreed to {from}–{to}"},
	"terms_cap":              {"客户约定 {days} 天内最多 {max} 次，已有 {have} 次", "the customer agreed to {max} in {days} days; there were {have}"},
	"terms_end":              {"客户约定的期限 {end} 之前没有允许的时间", "no permitted time before the customer's terms end on {end}"},
	"terms_no_hours":         {"客户约定的时段不包含任何时间", "the customer's agreed hours cover nothing"},
	"in_hours":               {"{at} 在 {from}–{to} 内", "{at} is within {from}–{to}"},
	"out_of_hours":           {"{at} 不在允许的时段内", "{at} is outside the permitted hours"},
	"agreed_hours":           {"{at} 在客户另行约定的时段内", "{at} is within hours the customer agreed to"},
	"unproven":               {"同意缺少规则要求的形式或证明", "the consent lacks the form or evidence that the rule demands"},
	"ground:soft_opt_in":     {"现有客户，自 {since} 起可推介本行同类产品", "an existing customer, offered own similar products since {since}"},
	"calendar_ends":          {"日历 {what} 没有这一年的节假日，按拒绝处理", "calendar {what} does not cover this year, so the rule denies"},
	"closed_day":             {"{at} 当日不得联系{words}", "no contact on this day{words} ({at})"},
	"consented_hours":        {"{at} 不在时段内，但客户已明确同意", "{at} is outside the hours, but the customer expressly consented"},
	"cap_block":              {"本期 {days} 天内{unit} {have} 次，少于上限 {max} 次", "{have} {unit} in this block of {days} days, fewer than {max}"},
	"cap_block_full":         {"本期 {days} 天内{unit} {have} 次，已达上限 {max} 次", "{have} {unit} in this block of {days} days, the cap is {max}"},
	"pause_over":             {"连续 {days} 日内没有{unit}", "no {unit} in {days} consecutive days"},
	"pause":                  {"最近一次{unit}（当日为第 1 日）起 {days} 日内不得再联系", "no contact for {days} days after {unit}, the day itself being day 1"},
	"after":                  {"在 {since} 的拒绝或撤回之后允许的时间内", "within the time permitted after the stop of {since}"},
	"after_none":             {"没有可以确认的拒绝或撤回", "there is no stop that could be confirmed"},
	"after_over":             {"距 {since} 的拒绝或撤回已超过 {span}", "more than {span} after the stop of {since}"},
	"registry_clear":         {"不在名册 {what} 上", "not on register {what}"},
	"registry_young":         {"自 {since} 起列入名册 {what}，尚未满期", "on register {what} since {since}, not yet long enough to bar"},
	"registry_listed":        {"已列入名册 {what}", "on register {what}"},
	"registry_stale":         {"名册 {what} 的副本缺失或已过期", "the copy of register {what} is missing or too old"},
	"registry_consent":       {"虽在名册上，但客户已同意", "on the register, but the customer consented"},
	"registry_exempt":        {"名册不适用：{what}", "the register does not apply: {what}"},
	"caller_id":              {"显示号码 {what}", "the number shown is {what}"},
	"caller_id_missing":      {"没有显示主叫号码", "no number is shown"},
	"caller_id_range":        {"号码 {what} 不在此类通话规定的号段内", "number {what} is not in the range for such calls"},
	"caller_id_denied":       {"此类通话不得使用号码 {what}", "number {what} must not be used for such calls"},
	"caller_id_length":       {"号码 {what} 的位数不对", "number {what} has the wrong length"},
	"forbidden":              {"脚本不得包含：{disclosure}", "the script must not contain: {disclosure}"},
	"said_in_time":           {"{disclosure}在第 {have} 毫秒说出，不迟于 {max} 毫秒", "{disclosure} after {have} ms, not later than {max} ms"},
	"said_late":              {"{disclosure}在 {have} 毫秒后才说出，应不迟于 {max} 毫秒", "{disclosure} only after {have} ms; the latest is {max} ms"},
	"not_timed":              {"脚本没有标明何时说出：{disclosure}", "the script does not say when it gives: {disclosure}"},
	"not_paced":              {"非预测外呼，没有遗弃率", "not dialled ahead, so nothing is abandoned"},
	"abandoned":              {"接通 {max} 次，遗弃 {have} 次，不超过 {what}", "{have} abandoned of {max} answered live, not more than {what}"},
	"abandoned_over":         {"接通 {max} 次，遗弃 {have} 次，超过 {what}", "{have} abandoned of {max} answered live, more than {what}"},
	"rang_short":             {"只振铃 {have} 秒，至少应为 {max} 秒", "it rang for {have} s only; the least is {max} s"},
	"term":                   {"自 {since} 起 {span}，至 {end}", "{span} from {since}, until {end}"},
	"term_not_begun":         {"期限尚未开始", "the term has not begun"},
	"term_paused":            {"期限暂停计算", "the term is paused"},
	"term_kept":              {"自 {since} 起 {span}，已于 {moment} 完成，不迟于 {end}", "{span} from {since}: done on {moment}, not later than {end}"},
	"term_missed":            {"自 {since} 起 {span}，{moment} 才完成，迟于 {end}", "{span} from {since}: done only on {moment}, later than {end}"},
	"term_over":              {"自 {since} 起 {span}，已于 {end} 届满而未完成", "{span} from {since} ended on {end} and it is not done"},
	"term_extended":          {"已依 {what} 延长", "extended by {what}"},
	"extension_of_nothing":   {"没有可以延长的期限", "there is no term to extend"},
	"extension_not_approved": {"延期未生效：没有在原期限届满前获得批准", "no extension stands: it was not approved before the earlier term ended"},
	"extension_not_told":     {"延期未生效：没有在原期限届满前告知客户", "no extension stands: the person was not told before the earlier term ended"},
	"keep":                   {"保存期限 {span}，自 {since} 起", "to be kept for {span} from {since}"},
	"keep_other":             {"不属于此类记录", "not such a record"},
	"keep_open":              {"保存期限尚未开始计算，不得删除", "the time to keep it has not begun to run, so it must not be deleted"},
	"keep_until":             {"自 {since} 起保存 {span}，至 {end} 前不得删除", "to be kept for {span} from {since}: not to be deleted before {end}"},
	"keep_over":              {"保存已满 {span}（{end}），不得继续保存", "kept for {span}, which ended on {end}: it must not be kept longer"},
	"mask_c1":                {"内部信息", "internal"},
	"mask_c2":                {"敏感信息：默认遮盖，查看须有理由，不得写入日志，导出须经批准", "sensitive: masked, shown in full for a reason only, never logged, exported with approval"},
	"mask_c3":                {"鉴别信息：不得显示、记录或导出", "authentication data: never shown, logged or exported"},
	"mask_reason":            {"已说明理由或获得批准", "a reason is given, or it is approved"},
	"mask_other":             {"没有规则涉及此字段", "no rule is about this field"},
	"limit":                  {"{count} {have}，不超过 {max}", "{count}: {have}, not more than {max}"},
	"limit_least":            {"{count} {have}，不少于 {max}", "{count}: {have}, not fewer than {max}"},
	"limit_over":             {"{count} {have}，超过 {max}", "{count}: {have}, more than {max}"},
	"limit_under":            {"{count} {have}，少于 {max}", "{count}: {have}, fewer than {max}"},
	"limit_unknown":          {"没有 {count} 的数目", "the number of {count} is not known"},
	"condition":              {"符合条件", "the condition holds"},
	"condition_fails":        {"{words}", "{words}"},
	"cap":                    {"{window}内{unit} {have} 次，少于上限 {max} 次", "{have} {unit} in {window}, fewer than {max}"},
	"cap_full":               {"{window}内{unit} {have} 次，已达上限 {max} 次", "{have} {unit} in {window}, the cap is {max}"},
	"not_disclosed":          {"脚本未提供：{disclosure}", "the script lacks: {disclosure}"},
	"not_told":               {"没有事先告知客户的记录（{what}）", "no record that the customer was told before ({what})"},
	"told_later":             {"客户于 {since} 才被告知", "the customer is told only from {since}"},
	"disclosed":              {"已具备应有的告知", "the required disclosures are there"},
	"party_allowed":          {"联系对象是{relation}", "the person is the {relation}"},
	"party_conditional":      {"联系对象是{relation}，符合例外条件", "the person is the {relation}, and an exception holds"},
	"party_barred":           {"不得联系{relation}", "the {relation} must not be contacted"},
	"party_reachable":        {"能联系到债务人，不得联系{relation}", "the debtor can be reached, so the {relation} must not be contacted"},
	"party_refused":          {"该{relation}已于 {since} 拒绝，不得再联系", "the {relation} refused on {since} and must not be contacted again"},
}

// The codes that name a kind of stop or ground, ready made: a verdict builds no texts.
func stopCode(k contact.StopKind) string {
	switch k {
	case contact.Withdrawal:
		return "stop:withdrawal"
	case contact.Refusal:
		return "stop:refusal"
	case contact.DoNotContact:
		return "stop:do_not_contact"
	case contact.Hold:
		return "stop:hold"
	}
	return "stop:" + string(k)
}

func groundCode(g contact.Ground) string {
	switch g {
	case contact.Consent:
		return "ground:consent"
	case contact.Request:
		return "ground:request"
	case contact.Contract:
		return "ground:contract"
	case contact.Statute:
		return "ground:statute"
	case contact.SoftOptIn:
		return "ground:soft_opt_in"
	}
	return "ground:" + string(g)
}

func impliedCode(g contact.Ground) string {
	if g == contact.Statute {
		return "implied:statute"
	}
	return "implied:contract"
}

var terms = map[string]Words{
	"attempts": {"联系", "attempts"}, "connected": {"接通", "answered contacts"}, "effective": {"有效通话", "effective conversations"},
	"voice": {"电话", "voice"}, "sms": {"短信", "SMS"}, "email": {"电子邮件", "e-mail"}, "letter": {"信函", "letter"}, "push": {"推送", "push"},
	"service": {"服务", "service"}, "marketing": {"营销", "marketing"}, "fraud_alert": {"风险提示", "fraud alert"},
	"collection": {"催收", "collection"}, "statutory": {"法定通知", "statutory notice"}, "risk": {"风险类", "risk"},
	"bank": {"银行", "the bank"}, "customer": {"客户", "the customer"},
	"self": {"本人", "customer"}, "guarantor": {"担保人", "guarantor"}, "reference": {"联系人", "contact person"},
	"representatives": {"代表人数", "representatives"}, "complainants": {"投诉人数", "complainants"}, "transfers": {"转接次数", "transfers"},
	PurposeSaid: {"联系目的", "what it is about"}, WhoIsIt: {"核实接听人身份", "making sure who answers"}, Callback: {"回拨号码", "a number to call back"},
	CallbackNo: {"回拨即可拒绝的号码", "a number where a refusal is taken"}, DebtNotice: {"催收方法定说明", "the collector's statutory words"},
	Referral: {"其他救济途径", "where else to turn"}, Offer: {"推介内容", "an offer"}, Debt: {"债务信息", "a debt"}, Overdue: {"逾期催告", "a demand for an overdue payment"},
	Asks:     {"征求同意", "a request for consent"},
	Identity: {"机构身份与联系方式", "who calls and how to reach them"}, RefusalPath: {"拒绝方式", "a way to refuse"},
	AILabel: {"人工智能合成标识", "the label of a machine-made voice"}, Notice: {"告知内容", "the notice"},
	NoDebt: {"不透露债务的脚本", "a script that reveals no debt"}, NonProfiled: {"不针对个人特征的选项", "a choice that is not personalised"},
	RingMin: {"最短振铃时间", "the minimum ring"}, Record: {"录音", "recording"},
}

// Text says the reason in words; lang "zh" is Chinese, anything else English.
func (r Reason) Text(lang string) string {
	code, beyond := strings.CutPrefix(r.Code, "beyond:")
	w, ok := sentences[code]
	if !ok {
		w = Words{r.Code, r.Code}
	}
	zh := strings.HasPrefix(lang, "zh")
	word := func(k string) string {
		if t, ok := terms[k]; ok {
			return t.In(lang)
		}
		return k
	}
	until := ""
	if r.Until != 0 {
		until = Words{"，至 " + r.moment(r.Until), ", until " + r.moment(r.Until)}.In(lang)
	}
	text := strings.NewReplacer(
		"{what}", r.What, "{unit}", word(r.What), "{disclosure}", word(r.What), "{relation}", word(r.What),
		"{have}", strconv.Itoa(r.Have), "{max}", strconv.Itoa(r.Max), "{days}", strconv.Itoa(r.Days),
		"{window}", r.window(lang), "{since}", r.moment(r.Since), "{end}", r.moment(r.Until), "{until}", until,
		"{count}", word(r.What), "{span}", spanWords(r.What, lang), "{moment}", r.moment(r.At), "{words}", r.words(lang), "{at}", r.clock(), "{from}", hhmm(r.From), "{to}", hhmm(r.To),
	).Replace(w.In(lang))
	if beyond {
		if zh {
			return text + "，31 天内没有允许的时间"
		}
		return text + ", and no time within 31 days is permitted"
	}
	return text
}

// words is what the pack says itself; of a day, its name in brackets.
func (r Reason) words(lang string) string {
	switch {
	case r.Words == nil:
		return ""
	case r.Code == "closed_day":
		return Words{"（" + r.Words.Zh + "）", " (" + r.Words.En + ")"}.In(lang)
	}
	return r.Words.In(lang)
}

var spanUnits = map[string]Words{"seconds": {"秒", "seconds"}, "minutes": {"分钟", "minutes"}, "hours": {"小时", "hours"}, "days": {"日", "days"},
	"working_days": {"个工作日", "working days"}, "weeks": {"周", "weeks"}, "months": {"个月", "months"}, "years": {"年", "years"}}

// spanWords puts a span such as "10 working_days" in words.
func spanWords(s, lang string) string {
	n, unit, _ := strings.Cut(s, " ")
	if w, ok := spanUnits[unit]; ok {
		return n + " " + w.In(lang)
	}
	return s
}

func (r Reason) window(lang string) string {
	switch {
	case r.Days == 1:
		return Words{"当日", "this day"}.In(lang)
	case r.Days > 1:
		return Words{fmt.Sprintf("连续 %d 日", r.Days), fmt.Sprintf("%d consecutive days", r.Days)}.In(lang)
	}
	return Words{fmt.Sprintf("%d 小时", r.Hours), fmt.Sprintf("%d hours", r.Hours)}.In(lang)
}

func (r Reason) in(us contact.Micros) time.Time { return time.UnixMicro(us).In(place(r.Zone)) }

// places remembers the zones reasons were told in: reading one costs more than
// all the rest of a sentence.
var places sync.Map

func place(zone string) *time.Location {
	if l, ok := places.Load(zone); ok {
		return l.(*time.Location)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		if loc, err = time.LoadLocation("Asia/Shanghai"); err != nil {
			loc = time.UTC
		}
	}
	places.Store(strings.Clone(zone), loc)
	return loc
}

func (r Reason) moment(us contact.Micros) string {
	if us == 0 {
		return "?"
	}
	return r.in(us).Format("2006-01-02 15:04")
}

func (r Reason) clock() string {
	t := r.in(r.At)
	if t.Second() == 0 && t.Nanosecond() == 0 {
		return t.Format("15:04")
	}
	return t.Format("15:04:05")
}

func hhmm(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }

// Codes lists every code a Reason can carry.
func Codes() []string { return slices.Sorted(maps.Keys(sentences)) }
