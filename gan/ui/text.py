"""Every visible sentence, in English and Chinese. Nothing else on the page contains words."""

from html import escape

from gan.errors import MESSAGES, GanError

LANGUAGES = ("en", "zh")

# key: (English, Chinese)
TEXT = {
    # header
    "title": ("Live GAN", "Live GAN"),
    "subtitle": (
        "Two networks play a game. Watch one of them learn to write digits.",
        "两个网络在博弈。看其中一个如何学会写数字。",
    ),
    "language_name": ("EN", "中文"),
    "projector": ("Projector view", "投影视图"),
    "projector_leave": ("Leave the projector view", "退出投影视图"),
    "presenter_key": ("Presenter's key", "演示者密钥"),
    "presenter_enter": ("Enter", "确定"),
    "presenter": ("I am the presenter", "我是演示者"),
    "watcher_note": (
        "The presenter trains here, and you watch. On the next tab you can sample for yourself.",
        "这里由演示者训练,你在观看。你可以在“生成”页自己生成数字。",
    ),
    "tab_train": ("Train", "训练"),
    "tab_sample": ("Sample", "生成"),
    "tab_timeline": ("Timeline", "时间线"),
    # train: what to train
    "recipe": ("Recipe", "配方"),
    "recipe_info": (
        "fast: small convolutions, learns fastest. classic: the first, fully connected kind. dcgan: larger "
        "convolutions. conditional: fast, told which digit to write.",
        "fast:小型卷积网络,学得最快。classic:最早的全连接网络。dcgan:较大的卷积网络。conditional:可以指定数字的 fast。",
    ),
    "dataset": ("Dataset", "数据集"),
    "length": ("Length", "长度"),
    "unit": ("in", "单位"),
    "unit_seconds": ("seconds", "秒"),
    "unit_epochs": ("epochs", "轮 (epoch)"),
    "run_name": ("Name", "名称"),
    "run_name_info": (
        "Letters, digits, - and _; left empty, it gets one of its own.",
        "可用字母、数字、- 和 _;留空则自动命名。",
    ),
    "settings": ("Settings", "设置"),
    "loss": ("Loss", "损失函数"),
    "loss_info": ("how D and G keep score", "D 与 G 如何计分"),
    "r1": ("R1 penalty", "R1 惩罚"),
    "r1_info": ("0 is none; calms D", "0 表示不用;让 D 更平稳"),
    "label_smoothing": ("Label smoothing", "标签平滑"),
    "label_smoothing_info": ("0 to 0.5; D less sure of real", "0 到 0.5;D 对真图不那么肯定"),
    "decay": ("Learning rate decay", "学习率衰减"),
    "decay_info": ("0 to 1: last share of the run", "0 到 1:训练的最后一段"),
    "latent_dim": ("Latent size", "隐向量维数"),
    "batch_size": ("Batch size", "批大小"),
    "lr_g": ("Learning rate of G", "G 的学习率"),
    "lr_d": ("Learning rate of D", "D 的学习率"),
    "beta1": ("Adam beta 1", "Adam beta 1"),
    "beta2": ("Adam beta 2", "Adam beta 2"),
    "ema": ("EMA decay of G", "G 的 EMA 衰减"),
    "ema_info": ("0 keeps no averaged copy", "0 表示不保留平均副本"),
    "seed": ("Random seed", "随机种子"),
    "apply_rates": ("Apply learning rates now", "立即应用学习率"),
    "rates_note": (
        "From the next step on: {lr_g} for G, {lr_d} for D.",
        "从下一步起:G 为 {lr_g},D 为 {lr_d}。",
    ),
    "save_note": ("The checkpoint is being written.", "正在写入检查点。"),
    # train: buttons
    "start": ("Start", "开始"),
    "pause": ("Pause", "暂停"),
    "resume": ("Resume", "继续"),
    "stop": ("Stop", "停止"),
    "step": ("Step", "单步"),
    "save": ("Save", "保存"),
    # train: saved runs
    "runs": ("Runs", "训练列表"),
    "runs_info": (
        "Choose a live one to watch it, any to download it. Resume continues one of yours; a finished one, for "
        "the length given above.",
        "选择进行中的可观看,任何一个都可下载。按“继续”可接着训练自己的;已完成的会按上面的长度再训练一段。",
    ),
    "run_line": (
        "{name} · {recipe} · step\u00a0{steps} · {percent}\u00a0%",
        "{name} · {recipe} · 第\u00a0{steps}\u00a0步 · {percent}\u00a0%",
    ),
    "run_line_broken": ("{name} · unreadable", "{name} · 无法读取"),
    "run_line_active": ("{name} · {status}", "{name} · {status}"),
    "run_live": ("live", "进行中"),
    "run_waits": ("waits in line", "排队中"),
    "run_line_yours": ("{line} · yours", "{line} · 你的"),
    "run_line_slim": ("{line} · slim", "{line} · 精简"),
    "run_line_bundled": ("{name} · included", "{name} · 附带"),
    "manage": ("Manage runs", "管理训练"),
    "new_name": ("New name", "新名称"),
    "rename": ("Rename", "重命名"),
    "delete": ("Delete", "删除"),
    "delete_question": ("Delete {name} and all its files for good?", "要永久删除 {name} 及其所有文件吗?"),
    "delete_yes": ("Delete it", "确认删除"),
    "delete_no": ("Keep it", "保留"),
    "from_weights": ("New run from its weights", "用其权重新建训练"),
    "upload": ("Upload a checkpoint", "上传检查点"),
    "upload_note": ("It is in the list as {run}.", "已加入列表,名为 {run}。"),
    "downloads": ("Download {name}:", "下载 {name}:"),
    "download_checkpoint": ("checkpoint", "检查点"),
    "download_losses": ("loss plot", "损失图"),
    "download_scores": ("score plot", "得分图"),
    "download_quality": ("quality plot", "质量图"),
    "download_film": ("film (GIF)", "影片 (GIF)"),
    "choose_run": ("Choose a run in the list first.", "请先在列表中选择一个训练。"),
    # train: live
    "idle": (
        "Press Start. G will begin with noise and learn from D's verdicts.",
        "请按“开始”。G 从噪声出发,从 D 的判断中学习。",
    ),
    "preparing": (
        "Preparing {run}: loading digits, measuring speed …",
        "正在准备 {run}:读取数字、测量速度……",
    ),
    "training": ("Training {run}", "正在训练 {run}"),
    "waiting": (
        "{run} waits in line: place {place}, about {about} until it trains",
        "{run} 正在排队:第 {place} 位,约 {about} 后开始",
    ),
    "waiting_unknown": (
        "{run} waits in line: place {place}; the runs before it do not train now",
        "{run} 正在排队:第 {place} 位;前面的训练目前没有在进行",
    ),
    "somebody_elses": (
        "You watch {run}, which is somebody else's.",
        "你正在观看 {run},它是别人的训练。",
    ),
    "back_to_own": ("Back to yours: {run}", "回到你的:{run}"),
    "distance": ("Frechet distance", "Frechet 距离"),
    "sharing": ("runs take turns", "个训练轮流进行"),
    "paused": ("{run} is paused", "{run} 已暂停"),
    "stopped_unsaved": (
        "{run} was stopped before its first step; nothing was saved",
        "{run} 在第一步之前已停止,没有保存任何内容",
    ),
    "stopped": ("{run} is stopped and saved", "{run} 已停止并保存"),
    "finished": ("{run} is finished and saved", "{run} 已完成并保存"),
    "failed": ("{run} has ended", "{run} 已终止"),
    "epoch": ("epoch", "轮"),
    "step_count": ("step", "步"),
    "of_total": ("{done} of {total}", "{done} / {total}"),
    "speed": ("images/s", "图/秒"),
    "elapsed": ("elapsed", "已用"),
    "left": ("left", "剩余"),
    "progress": ("Progress of the run", "训练进度"),
    "offline": ("The server does not answer. Trying again …", "服务器没有响应,正在重试……"),
    "grid_title": ("Generated by G", "G 生成的图像"),
    "grid_note": ("the same 64 latents all along", "始终使用相同的 64 个隐向量"),
    "grid_title_idle": ("Digits of a trained G", "训练好的 G 所写的数字"),
    "grid_note_idle": ("a new G begins with noise", "新的 G 从噪声开始"),
    "grid_alt": ("Eight rows of eight digits", "八行八列的数字"),
    "real_title": ("Real ones, for comparison", "真实样本(对照)"),
    "real_alt": ("A row of real digits", "一行真实数字"),
    "loss_title": ("Losses of D and G, by step", "D 与 G 的损失(按步)"),
    "loss_empty": (
        "The losses of both networks appear here. Neither should win: lines that stay apart but steady are healthy.",
        "这里显示两个网络的损失。没有谁应当取胜:两条线保持距离且平稳,就是健康的。",
    ),
    "loss_alt": ("Plot of the losses of D and G over steps", "D 与 G 的损失随步数变化的曲线"),
    "score_title": ("D's scores, by step: 1 real, 0 fake", "D 的判断(按步):1 为真,0 为假"),
    "score_empty": (
        "D's mean score for real digits, D(x), and for fakes, D(G(z)). "
        "Both at 0.5 would mean that D can no longer tell them apart.",
        "D 对真实数字的平均得分 D(x) 与对生成数字的平均得分 D(G(z))。都为 0.5 表示 D 已无法分辨。",
    ),
    "score_alt": (
        "Plot of D's mean scores for real and generated digits over steps, with a line at 0.5",
        "D 对真实与生成数字的平均得分随步数变化的曲线,带 0.5 参考线",
    ),
    "quality_title": ("Frechet distance to real digits, by step", "与真实数字的 Frechet 距离(按步)"),
    "quality_note": (
        "lower is better; the dotted line is what real digits get",
        "越低越好;虚线是真实数字的水平",
    ),
    "quality_empty": (
        "Every few seconds a judge, a small classifier, compares 500 generated digits with real ones.",
        "每隔几秒,评判器(一个小型分类器)会把 500 个生成的数字与真实数字比较。",
    ),
    "quality_alt": (
        "Plot of the Frechet distance over steps, with a line at the distance of real digits",
        "Frechet 距离随步数变化的曲线,带真实数字的参考线",
    ),
    "coverage_title": ("Which digits G writes, as the judge reads them", "G 写出的数字(由评判器识别)"),
    "coverage_digit": ("digit {digit}: {share} %", "数字 {digit}:{share} %"),
    "diagnosis_early": (
        "These are the first steps; they say little yet.",
        "这是最初几步,还说明不了什么。",
    ),
    "diagnosis_learning": (
        "G is learning: its digits come closer to real ones.",
        "G 正在进步:生成的数字越来越接近真实数字。",
    ),
    "diagnosis_steady": (
        "The game is balanced; digits get better only slowly now.",
        "双方势均力敌;数字现在只会缓慢变好。",
    ),
    "diagnosis_diverged": (
        "The losses have blown up: neither network learns any more. Start anew with lower learning rates.",
        "损失已经失控:两个网络都不再学习。请用更低的学习率重新开始。",
    ),
    "diagnosis_d_wins": (
        "D is winning: it spots {spotted} % of the fakes, so G gets little to learn from. "
        "Try a lower learning rate for D.",
        "D 占了上风:识破了 {spotted} % 的假图,G 学不到什么。可以试试降低 D 的学习率。",
    ),
    "diagnosis_g_wins": (
        "G is winning: D takes {fooled} % of its fakes for real. Try a lower learning rate for G.",
        "G 占了上风:D 把 {fooled} % 的假图当真。可以试试降低 G 的学习率。",
    ),
    "diagnosis_collapsed": (
        "G writes only {covered} of the ten digits ({share} % are {digit}s): its mode has collapsed. "
        "Try lower learning rates.",
        "G 只会写十个数字中的 {covered} 个({share} % 是 {digit}):发生了模式崩溃。可以试试降低学习率。",
    ),
    "apply_suggestion": ("Use {lr_g} for G and {lr_d} for D", "改用 G {lr_g}、D {lr_d}"),
    # sample
    "source": ("Generator", "生成器"),
    "source_live": ("live: the run on the Train tab", "实时:训练页上的训练"),
    "sample_seed": ("Seed", "种子"),
    "sample_seed_info": (
        "3.5 lies halfway between seeds 3 and 4: drag to walk.",
        "3.5 位于种子 3 与 4 的正中:拖动即可漫步。",
    ),
    "random_seed": ("Random seed", "随机种子"),
    "count": ("Number of digits", "数字个数"),
    "truncation": ("Truncation", "截断"),
    "truncation_info": (
        "Scales the latents: below 1 safer, above 1 wilder.",
        "缩放隐向量:小于 1 更稳妥,大于 1 更奔放。",
    ),
    "digit": ("Digit", "数字"),
    "digit_mixed": ("mixed", "混合"),
    "digit_table": ("table of all", "全部列表"),
    "weights": ("Weights", "权重"),
    "weights_ema": ("EMA (averaged)", "EMA(平均)"),
    "weights_raw": ("raw", "原始"),
    "scores": ("D's score under each digit (up to 64 digits)", "在每个数字下显示 D 的得分(最多 64 个)"),
    "follow": ("Follow the live generator", "跟随实时生成器"),
    "download_png": ("Download PNG", "下载 PNG"),
    "sample_alt": ("Digits generated from seed {seed}", "由种子 {seed} 生成的数字"),
    "sample_caption": ("{run} · seed {seed} · {weights} weights", "{run} · 种子 {seed} · {weights} 权重"),
    "sample_caption_scores": (
        "{caption} · scores are shown for up to 64 digits",
        "{caption} · 得分最多显示 64 个数字",
    ),
    "sample_none": (
        "There is no generator yet. Press Start on the Train tab, then come back: "
        "you can sample while it learns.",
        "还没有生成器。请在“训练”页按“开始”,然后回到这里:训练时也可以生成。",
    ),
    "closeup_title": ("One digit close up", "单个数字特写"),
    "closeup_empty": (
        "Click a digit: how real it looks to D, what the judge reads, and which training digits are nearest.",
        "点击一个数字:D 认为它有多真、评判器读作什么、哪些训练数字与它最接近。",
    ),
    "closeup_digit": ("Picture no. {place}", "第 {place} 幅图"),
    "closeup_where": ("{run} · seed {seed}", "{run} · 种子 {seed}"),
    "closeup_score": ("D's score", "D 的得分"),
    "closeup_score_note": ("1 is real, 0 fake", "1 为真,0 为假"),
    "closeup_reading": ("The judge reads", "评判器读作"),
    "closeup_sure": ("{sure} % sure", "把握 {sure} %"),
    "closeup_pixels": ("Nearest training digits, by pixels", "最接近的训练数字(按像素)"),
    "closeup_features": ("Nearest by what the judge sees in them", "最接近的训练数字(按评判器的特征)"),
    "closeup_distance": (
        "The nearest is {distance} away. Real digits that G never saw: usually {usual}. Near 0 would be a copy.",
        "最近者距离 {distance};G 从未见过的真实数字通常为 {usual}。接近 0 就是照抄。",
    ),
    "closeup_wait": (
        "Comparing with 60,000 digits; the first time takes some seconds …",
        "正在与 60,000 个数字比较;第一次需要几秒……",
    ),
    # timeline
    "timeline_run": ("Run", "训练"),
    "timeline_empty": (
        "No run has a past to show yet. Press Start on the Train tab: about sixty moments of each run are kept.",
        "还没有可回看的训练。请在“训练”页按“开始”:每次训练会保留约六十个时刻。",
    ),
    "timeline_step": ("step {step}", "第 {step} 步"),
    "timeline_slider": ("Moment of the run", "训练的时刻"),
    "timeline_play": ("Play", "播放"),
    "timeline_note": ("the line marks the moment that is shown", "竖线标出所显示的时刻"),
    "timeline_gif": ("Download as GIF", "下载 GIF"),
    # errors
    "error_title": ("That did not work", "操作未成功"),
    "error_unexpected": (
        "Something went wrong on the server. Nothing was lost; the log has the details.",
        "服务器出错了。没有数据丢失,详情见日志。",
    ),
}

ERRORS_ZH = {
    "unknown-field": "没有名为 {field!r} 的设置;可用的设置:{allowed}。",
    "empty": "{field} 是空的;它必须是:{allowed}。",
    "wrong-type": "{field} 的值是 {value!r};它必须是:{allowed}。",
    "out-of-range": "{field} 的值是 {value!r};允许的范围:{allowed}。",
    "unknown-recipe": "没有名为 {recipe!r} 的配方;可用的配方:{allowed}。",
    "batch-too-large": "batch_size 为 {value};数据集只有 {allowed} 张图像。",
    "bad-environment": "环境变量 {variable} 的值是 {value!r};它必须是 {allowed}。",
    "data-damaged": "数据文件 {file} 已损坏({reason})。请放回原始文件。",
    "data-missing": "本机没有 {dataset},也无法下载。请把它的四个文件({files})放入 {folder}。",
    "bad-name": "{name!r} 不能作为名称:请用 1 到 40 个字母、数字、“-”或“_”,并以字母或数字开头。",
    "run-exists": "已有名为 {run!r} 的训练。请换一个名称,或继续它。",
    "no-run": "没有名为 {run!r} 的训练。",
    "run-busy": "{run!r} 正在此处或另一个程序中进行。请先停止它。",
    "run-bundled": "训练 {run!r} 随项目附带,不能更改。",
    "folder-unusable": "检查点文件夹 {folder} 无法使用:{reason}。",
    "checkpoint-unreadable": "{file} 不是可读取的检查点:{reason}。",
    "checkpoint-not-ours": "{file} 是 safetensors 文件,但不是 Live GAN 的检查点。",
    "checkpoint-version": "{file} 的检查点格式为 {found};本程序读取格式 {allowed}。",
    "checkpoint-tensors": "{file} 与其设置不符:{reason}。",
    "checkpoint-digest": "{file} 已损坏:内容与其摘要不符。",
    "checkpoint-slim": "{run!r} 是精简检查点:只含用于生成的网络,没有继续训练所需的优化器与历史。"
    "请改为用其权重新建训练。",
    "slim-history": "{run!r} 是精简检查点:没有逐步的历史记录。",
    "checkpoint-too-large": "{file} 有 {size} MB;检查点最大 {allowed} MB。",
    "resume-differs": "无法继续 {run!r}:{differences}。",
    "save-failed": "无法保存 {run!r}:{reason}。之前的检查点未受影响。",
    "not-finite": "{quantity} 在第 {step} 步变为 {value}:训练发散了。请从上一个检查点继续,并降低学习率"
    "(现在 G 为 {lr_g},D 为 {lr_d})。",
    "already-training": "{run!r} 正在训练。每人同时最多 {allowed} 个:请先停止它。",
    "not-active": "{run!r} 没有在进行。",
    "line-full": "已有 {allowed} 个训练在进行或排队。请等其中一个结束后再试。",
    "time-is-up": "{run!r} 已训练 {minutes} 分钟,达到了这里的上限。它已保存,可以继续。",
    "paused-too-long": "{run!r} 暂停超过 {minutes} 分钟,而其他人在等待。它已保存,可以继续。",
    "disk-full": "此服务器上的训练已占用 {used} MB,上限为 {allowed} MB。请先删除一个。",
    "disk-share": "你的训练已占用 {used} MB,每位访客最多 {allowed} MB。请先删除一个。",
    "unknown-visitor": "服务器不认识你。请重新加载页面;程序可通过 /visitor 获取令牌。",
    "not-yours": "{run!r} 是别人的。你可以观看并从中生成。",
    "presenter-only": "这里只有演示者可以训练。你可以观看和生成。",
    "wrong-key": "这不是演示者的密钥。",
    "too-many-requests": "操作过于频繁:允许 {allowed}。请稍等。",
    "nothing-active": "没有进行中的训练。请先开始一个。",
    "cannot-pause": "{run!r} 的状态是 {status};只有正在训练的才能暂停。",
    "cannot-resume": "{run!r} 的状态是 {status};只有已暂停的才能继续。",
    "cannot-step": "{run!r} 的状态是 {status};单步需要先暂停。",
    "run-failed": "{run!r} 因错误而终止:{reason}。详情见日志。",
    "length-reached": "{run!r} 已达到其长度({length})。请给出更大的长度以继续。",
    "cuda-missing": "要求使用设备 {device!r},但 PyTorch 在此找不到它。",
    "no-port": "无法打开端口 {first} 到 {last}。请将 HOST 设为本机地址,PORT 设为空闲端口。",
    "no-ema": "{run!r} 没有 EMA 权重;请使用原始权重。",
    "no-raw": "{run!r} 只有一个生成器;请使用 EMA 权重。",
    "not-conditional": "{run!r} 训练时没有使用标签,因此不能指定数字。",
    "nothing-to-sample": "还没有生成器。请先训练。",
    "not-judged": "评判器只认识 {allowed} 的数字;这次训练用的是 {dataset}。",
    "wrong-output": "--out 为 {value!r};它必须以 .png 或 .npy 结尾。",
    "write-failed": "无法写入 {file}:{reason}。",
    "bad-assignment": "--set 需要 field=value,得到的是 {value!r}。",
}


def language_of(wanted: str | None) -> str:
    """The language for a browser's or visitor's wish, such as "zh-CN"; English unless it is Chinese."""
    return "zh" if (wanted or "").lower().startswith("zh") else "en"


def say(key: str, language: str, **values: object) -> str:
    """The sentence `key` in `language`, filled with `values`."""
    return TEXT[key][LANGUAGES.index(language)].format(**values)


def say_error(error: GanError, language: str) -> str:
    """The sentence of an engine's error in `language`, with settings named as the page names them."""
    field = error.values.get("field")
    named = {"field": say(str(field), language)} if field in TEXT else {}
    sentences = ERRORS_ZH if language == "zh" else MESSAGES
    return sentences[error.key].format(**{**error.values, **named})


def in_both(key: str) -> str:
    """HTML with the sentence in both languages; the page's style shows the one that is chosen."""
    return "".join(
        f'<span class="in-{name}" lang="{name}">{escape(say(key, name))}</span>' for name in LANGUAGES
    )
