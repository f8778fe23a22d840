"""What people say to a camera, in two languages. Our own sentences."""

from __future__ import annotations

ENGLISH = (
    "Please tell me when somebody comes to the door.",
    "Is the water in the kitchen still running?",
    "How many cars are parked in front of the house?",
    "The black cat is sitting on the kitchen table.",
    "Two children are playing in the garden.",
    "What is the woman at the window doing?",
    "Let me know as soon as the bus arrives.",
    "There is a large box on the bottom step.",
    "Did the postman bring anything this morning?",
    "The old man has not moved for an hour.",
    "Stop watching the parking lot for today.",
    "Somebody left the light on in the garage.",
    "What does the sign on the wall say?",
    "I think the baby is about to wake up.",
    "Warn me if the dog jumps on the sofa.",
    "Who closed the window in the living room?",
    "The man with the yellow helmet is climbing the ladder.",
    "Count the people who walk past the shop.",
    "It has started to rain and the laundry is outside.",
    "Where did you see my glasses last?",
)

CHINESE = (
    "有人敲门的时候请告诉我。",
    "厨房里的水还在流吗？",
    "房子前面停了几辆车？",
    "黑色的猫坐在桌子上。",
    "两个孩子在花园里玩。",
    "窗户旁边的女人在做什么？",
    "公共汽车到了马上告诉我。",
    "楼梯上有一个很大的箱子。",
    "今天早上邮递员来过吗？",
    "老人已经一个小时没有动了。",
    "今天不用再看停车场了。",
    "有人忘了关车库的灯。",
    "墙上的牌子写着什么？",
    "宝宝好像快要醒了。",
    "如果狗跳上沙发就提醒我。",
    "谁关上了客厅的窗户？",
    "戴黄色帽子的男人正在爬梯子。",
    "数一数有多少人走过商店。",
    "开始下雨了，衣服还在外面。",
    "你最后一次看到我的眼镜是在哪里？",
)
