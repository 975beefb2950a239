package ledger

import "fmt"

// readme tells the holder of a bundle what it is and how to check it.
func readme(m manifest, key string) string {
	at := m.At.UTC().Format("2006-01-02 15:04:05")
	return fmt.Sprintf(readmeText, m.Title, m.Note, m.Origin, m.Size, at, key, m.Title, m.Note, m.Origin, m.Size, at, key)
}

const readmeText = `守约 证据包
==========

标题：%s
说明：%s

这是银行账本中关于此事的全部记录，以及证明这些记录未被改动的材料。
账本：%s，封存时共 %d 条，封存时间（UTC）：%s

如何核验（不需要网络，也不需要银行配合）：

    parley verify 本文件.zip --key 公钥

请使用您从银行网站、合同或以前的回执中得到的公钥，不要只相信本包内的公钥。
本包所附公钥：
    %s

里面有什么：
    records/         每条记录：内容、时间、盐值、在账本中的位置和证明
    files/           录音、信函等；其 SHA-256 写在某条记录里
    checkpoint.txt   银行签名的账本状态
    key.txt          账本公钥
    manifest.json    文件清单；manifest.sig 是银行对清单的签名

不用本软件也能核验：对每条记录，SHA-256（盐值 + 紧凑 JSON 记录）应等于承诺值；
承诺值连同类型、时间、编号构成叶子；按 RFC 6962 由叶子和证明算出的根应等于
checkpoint.txt 中的根；checkpoint.txt 的签名应由上述公钥作出。
没有内容的记录已依法删除，其叶子仍在，别的记录不受影响。


Parley evidence bundle
======================

Title: %s
Note:  %s

These are all the records of the bank's ledger about this matter, with what
proves that nobody has changed them.
Log: %s, %d entries when sealed, sealed at (UTC) %s

To check it, without a network and without the bank's help:

    parley verify THIS-FILE.zip --key KEY

Use the key you got from the bank's site, your contract or an earlier receipt;
do not trust only the one in this bundle, which is
    %s

What is inside:
    records/         each record: content, time, salt, place in the log, proof
    files/           recordings, letters; a record names their SHA-256
    checkpoint.txt   the state of the log, signed by the bank
    key.txt          the log's public key
    manifest.json    the list of parts; manifest.sig is the bank's signature on it

Without this program: for each record, SHA-256 of salt and compact JSON record
is its commitment; with type, time and id it makes the leaf; the root computed
from leaf and proof (RFC 6962) is the one in checkpoint.txt, whose signature is
by the key above. A record without content was erased as the law asks; its leaf
remains, and the other records are not affected.
`
